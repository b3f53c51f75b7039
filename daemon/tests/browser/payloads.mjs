// Fifty texts that would run if anything took them for markup or script. Each would call ran().

const run = "ran()";

export const PAYLOADS = [
  `<script>${run}</script>`, `"><script>${run}</script>`, `'><script>${run}</script>`, `</script><script>${run}</script>`,
  `<img src=x onerror=${run}>`, `"><img src=x onerror=${run}>`, `<img src="x" onerror="${run}">`, `<IMG SRC=x ONERROR=${run}>`,
  `<svg onload=${run}>`, `<svg/onload=${run}>`, `<svg><script>${run}</script></svg>`, `<svg><animate onbegin=${run} attributeName=x dur=1s>`,
  `<body onload=${run}>`, `<iframe src="javascript:parent.${run}">`, `<iframe srcdoc="<script>parent.${run}</script>">`,
  `<object data="javascript:${run}">`, `<embed src="javascript:${run}">`, `<a href="javascript:${run}">x</a>`, `javascript:${run}`,
  `<input autofocus onfocus=${run}>`, `" autofocus onfocus="${run}`, `' autofocus onfocus='${run}`, `" onmouseover="${run}" x="`,
  `<details open ontoggle=${run}>`, `<video><source onerror=${run}></video>`, `<audio src=x onerror=${run}>`, `<marquee onstart=${run}>`,
  `<math><mtext><table><mglyph><style><img src=x onerror=${run}>`, `<template><script>${run}</script></template>`,
  `<form action="javascript:${run}"><button autofocus>`, `<button formaction="javascript:${run}">x</button>`,
  `<meta http-equiv="refresh" content="0;url=javascript:${run}">`, `<base href="javascript:${run}//">`, `<link rel=stylesheet href="javascript:${run}">`,
  `<style>@import 'javascript:${run}';</style>`, `<div style="background:url(javascript:${run})">`, `<noscript><p title="</noscript><img src=x onerror=${run}>">`,
  `<!--><script>${run}</script>-->`, `<![CDATA[<script>${run}</script>]]>`, `<xss contenteditable onblur=${run} autofocus>`,
  `{{constructor.constructor('${run}')()}}`, `\${${run}}`, `';${run}//`, `";${run}//`, `\\";${run}//`, `</title><script>${run}</script>`,
  `</textarea><script>${run}</script>`, `&lt;script&gt;${run}&lt;/script&gt;`, `%3Cscript%3E${run}%3C/script%3E`, `\u003cscript\u003e${run}\u003c/script\u003e`,
];
