"""A bot for responder-webhook, with Python's standard library only: python3 bot.py 8000"""
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

def answer(ask):
    if ask["event"] == "start":
        return {"say": "Hello, this is the bot."}
    if ask["event"] == "digit":
        return {"say": f"You pressed {ask['digit']}."}
    words = ask.get("text") or "something"
    return {"say": f"You said {words}.", "end": "goodbye" in words.lower()}

class Bot(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps the connection
    def do_POST(self):
        ask = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(answer(ask)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Bot)
    print(server.server_port, flush=True)
    server.serve_forever()
