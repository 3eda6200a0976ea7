/* The functions of the header as symbols, for other languages. */
#define VIGIL_API
#include "vigil_heartbeat.h"
