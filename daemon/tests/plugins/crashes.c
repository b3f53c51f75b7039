/* A responder that takes the process with it, as each key says:
 *   1  by an address of its own making, in `send`
 *   2  by one that it gives to the C library, in `send`
 *   3  by calling itself until the stack is full, in `send`
 *   4  by an address of its own making, on a thread of its own
 *   5  by giving up (`abort`), on a thread of its own
 * With CRASHES_AT_LOAD in the environment it does not come so far.
 */
#include "frame.h"
#include <pthread.h>

/* Where nothing can be; not a constant, for the compiler would know better. */
static char *volatile nowhere = (char *)8;
static volatile int deep = 1;

__attribute__((constructor)) static void load(void) {
  if (getenv("CRASHES_AT_LOAD")) *nowhere = 1;
}

static int fall(int depth) {
  volatile char room[1024];
  room[0] = (char)depth;
  return deep ? fall(depth + 1) + room[0] : 0;
}

static void *writes(void *nothing) {
  *nowhere = 1;
  return nothing;
}

static void *gives_up(void *nothing) {
  (void)nothing;
  abort();
}

static int32_t send_(void *stream, const vp_event *event, size_t n) {
  (void)stream;
  pthread_t thread;
  for (; n > 0; n--, event++) {
    if (event->kind != VP_DTMF) continue;
    switch (event->data.ptr[0]) {
    case '1': writes(NULL); break;
    case '2': return (int32_t)strlen(nowhere);
    case '3': return fall(0);
    case '4': pthread_create(&thread, NULL, writes, NULL); break;
    case '5': pthread_create(&thread, NULL, gives_up, NULL); break;
    }
  }
  return VP_OK;
}

PLUGIN("test-crashes", VP_RESPONDER, start_plain, "{\"responder\":{\"takes_digits\":true}}")
