"""The same, word by word, as a language model would: each sentence is spoken while the next is being written."""
import json, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

def words(ask):
    yield from "Let me think about that. It will take a while, but not too long. I have it now.".split(" ")

class Bot(BaseHTTPRequestHandler):
    def do_POST(self):
        ask = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.end_headers()  # without a length: the answer ends when the connection does
        for word in words(ask) if ask["event"] == "turn" else ["Hello."]:
            self.wfile.write(f"{word} ".encode())
            time.sleep(0.05)

if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Bot)
    print(server.server_port, flush=True)
    server.serve_forever()
