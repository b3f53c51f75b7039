// The page of logs, once the browser runs scripts.
