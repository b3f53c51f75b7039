/* The scribe that wants linear samples at 16 kHz. */
#define WIDE
#include "scribe.c"
