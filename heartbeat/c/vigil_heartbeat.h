/*
 * vigil_heartbeat.h: activities for programs in C and C++, in one header.
 *
 *	vigil_page page;
 *	int error = vigil_attach(&page);              // once, at the start of main
 *	if (error)
 *		fprintf(stderr, "unwatched: %s\n", vigil_text(error));
 *
 *	vigil_activity flusher;                       // in the thread that does the work
 *	error = vigil_claim(&page, &flusher, "flusher", 2 * VIGIL_SECOND);
 *	for (;;) {
 *		wait_for_a_batch();
 *		vigil_busy(&flusher);
 *		for (each row) {
 *			write_row();
 *			vigil_beat(&flusher);
 *		}
 *		vigil_idle(&flusher);
 *	}
 *	vigil_release(&flusher);
 *
 * An idle activity is healthy for as long as it likes; a busy one that does not
 * beat within its timeout is a hang, and vigil restarts the program after it has
 * taken its stacks. Without vigil (VIGIL_HEARTBEAT_FD is not set), and after any
 * error, an activity is one that nobody watches: every function may be called.
 *
 * Linux, C99 or later, C++11 or later. Atomic accesses follow the memory model
 * of C11 by the __atomic builtins of GCC and Clang, since <stdatomic.h> does not
 * exist in C++ before C++23 and <atomic> not in C. There is nothing to link.
 *
 * For other languages: compile one C file that has
 *	#define VIGIL_API
 *	#include "vigil_heartbeat.h"
 * and call its functions.
 *
 * Threads: vigil_claim may be called by several at once. An activity belongs to
 * one thread at a time. After fork(2) the activities stay the parent's; a child
 * that goes on without execve(2) claims its own on the same page.
 */
#ifndef VIGIL_HEARTBEAT_H
#define VIGIL_HEARTBEAT_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef VIGIL_API
#define VIGIL_API static inline
#endif

#if defined(__cplusplus)
extern "C" {
#elif defined(__STRICT_ANSI__)
/* What the headers may hide when a program is compiled as ISO C. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
int kill(pid_t pid, int sig);
long syscall(long number, ...);
ssize_t pread(int fd, void *buf, size_t count, off_t offset);
int unsetenv(const char *name);
#pragma GCC diagnostic pop
#endif

/* Layout version 1; the same numbers are in docs/heartbeat.md. */
#define VIGIL_PAGE_MAGIC "VIGILHB" /* and its NUL */
#define VIGIL_PAGE_VERSION 1u
#define VIGIL_HEADER_SIZE 64u
#define VIGIL_SLOT_SIZE 64u
#define VIGIL_MAX_SLOTS (1u << 20)
#define VIGIL_MAX_NAME 32u

#define VIGIL_SECOND UINT64_C(1000000000) /* timeouts are in nanoseconds */

enum vigil_state { VIGIL_FREE, VIGIL_CLAIMED, VIGIL_IDLE, VIGIL_BUSY, VIGIL_STOPPING };

typedef struct vigil_header {
	char magic[8];
	uint32_t version;
	uint32_t header_size;
	uint32_t slot_size;
	uint32_t slot_count;
	uint64_t page_size;
	char reserved[32];
} vigil_header;

/* A slot is touched by whole words only. */
typedef struct vigil_slot {
	uint64_t pulse;   /* beats << 8 | state */
	uint64_t timeout; /* ns; 0: the one of the service */
	uint64_t thread;  /* in memory: pid, tid, 32 bits each */
	uint64_t serial;  /* in memory: serial, reserved, 32 bits each */
	uint64_t name[VIGIL_MAX_NAME / 8];
} vigil_slot;

#if defined(__cplusplus)
static_assert(sizeof(vigil_header) == VIGIL_HEADER_SIZE && sizeof(vigil_slot) == VIGIL_SLOT_SIZE, "layout version 1");
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(vigil_header) == VIGIL_HEADER_SIZE && sizeof(vigil_slot) == VIGIL_SLOT_SIZE, "layout version 1");
#endif

/* The page that vigil gave to this program; count 0: nobody watches. */
typedef struct vigil_page {
	vigil_slot *slots;
	uint32_t count;
	uint32_t next; /* where the next search begins */
} vigil_page;

/* One kind of work that is watched; slot NULL: by nobody. */
typedef struct vigil_activity {
	vigil_slot *slot;
} vigil_activity;

enum vigil_error {
	VIGIL_OK,
	VIGIL_ERROR_NUMBER,
	VIGIL_ERROR_CLOSED,
	VIGIL_ERROR_NO_MEMFD,
	VIGIL_ERROR_SEAL,
	VIGIL_ERROR_READ,
	VIGIL_ERROR_MAGIC,
	VIGIL_ERROR_VERSION,
	VIGIL_ERROR_SIZE,
	VIGIL_ERROR_MAP,
	VIGIL_ERROR_NAME,
	VIGIL_ERROR_FULL
};

/* vigil_text returns one line about an error. */
VIGIL_API const char *vigil_text(int error)
{
	switch (error) {
	case VIGIL_OK: return "no error";
	case VIGIL_ERROR_NUMBER: return "VIGIL_HEARTBEAT_FD is not a descriptor number";
	case VIGIL_ERROR_CLOSED: return "the descriptor of VIGIL_HEARTBEAT_FD is not open (closed on the way from vigil?)";
	case VIGIL_ERROR_NO_MEMFD: return "the descriptor of VIGIL_HEARTBEAT_FD is no memfd";
	case VIGIL_ERROR_SEAL: return "the page is not sealed against shrinking";
	case VIGIL_ERROR_READ: return "the header of the page cannot be read";
	case VIGIL_ERROR_MAGIC: return "no page of activities: the magic is missing";
	case VIGIL_ERROR_VERSION: return "unknown layout version of the page (this header knows 1)";
	case VIGIL_ERROR_SIZE: return "the sizes in the header of the page do not agree with the page";
	case VIGIL_ERROR_MAP: return "the page cannot be mapped";
	case VIGIL_ERROR_NAME: return "an activity needs a name";
	case VIGIL_ERROR_FULL: return "every slot of the page is taken; there are vigil_page.count (heartbeat.activities of the service)";
	default: return "unknown error";
	}
}

/* vigil_check_header_ returns VIGIL_OK for the header of a page of size bytes. */
VIGIL_API int vigil_check_header_(const vigil_header *header, uint64_t size)
{
	if (memcmp(header->magic, VIGIL_PAGE_MAGIC, sizeof header->magic) != 0)
		return VIGIL_ERROR_MAGIC;
	if (header->version != VIGIL_PAGE_VERSION)
		return VIGIL_ERROR_VERSION;
	if (header->header_size != VIGIL_HEADER_SIZE || header->slot_size != VIGIL_SLOT_SIZE ||
	    header->slot_count < 1 || header->slot_count > VIGIL_MAX_SLOTS ||
	    header->page_size != VIGIL_HEADER_SIZE + (uint64_t)header->slot_count * VIGIL_SLOT_SIZE ||
	    header->page_size != size)
		return VIGIL_ERROR_SIZE;
	return VIGIL_OK;
}

/*
 * vigil_attach_fd maps the page behind a descriptor and closes the descriptor.
 * One that is refused is left as it is, for it may be anything.
 */
VIGIL_API int vigil_attach_fd(vigil_page *page, int fd)
{
	/* fcntl(2): only a memfd has seals. Without F_SEAL_SHRINK, whoever
	 * shrinks the file has the next beat end the program by SIGBUS. */
	const int get_seals = 1034, seal_shrink = 2;
	vigil_header header;
	struct stat st;
	void *memory;
	int seals, error;

	memset(page, 0, sizeof *page);
	if (fstat(fd, &st) != 0)
		return VIGIL_ERROR_CLOSED;
	if ((seals = fcntl(fd, get_seals)) < 0)
		return VIGIL_ERROR_NO_MEMFD;
	if (!(seals & seal_shrink))
		return VIGIL_ERROR_SEAL;
	if (pread(fd, &header, sizeof header, 0) != (ssize_t)sizeof header)
		return VIGIL_ERROR_READ;
	if ((error = vigil_check_header_(&header, (uint64_t)st.st_size)) != VIGIL_OK)
		return error;
	memory = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return VIGIL_ERROR_MAP;
	close(fd);
	page->slots = (vigil_slot *)(void *)((char *)memory + VIGIL_HEADER_SIZE);
	page->count = header.slot_count;
	return VIGIL_OK;
}

/*
 * vigil_attach maps the page that vigil gave to this program. Call it once, at
 * the start of main, before there are threads: on success it removes the
 * variable from the environment, since programs that this one starts do not
 * have the descriptor, and unsetenv(3) is not safe beside getenv(3).
 */
VIGIL_API int vigil_attach(vigil_page *page)
{
	const char *value = getenv("VIGIL_HEARTBEAT_FD");
	int fd = 0, error;
	size_t i;

	memset(page, 0, sizeof *page);
	if (value == NULL)
		return VIGIL_OK;
	for (i = 0; value[i] >= '0' && value[i] <= '9' && i < 9; i++)
		fd = 10 * fd + (value[i] - '0');
	if (i == 0 || value[i] != '\0')
		return VIGIL_ERROR_NUMBER;
	if ((error = vigil_attach_fd(page, fd)) == VIGIL_OK)
		unsetenv("VIGIL_HEARTBEAT_FD");
	return error;
}

VIGIL_API uint64_t vigil_pair_(uint32_t low, uint32_t high)
{
	uint32_t in_memory[2];
	uint64_t word;

	in_memory[0] = low;
	in_memory[1] = high;
	memcpy(&word, in_memory, sizeof word);
	return word;
}

VIGIL_API int vigil_exchange_(vigil_slot *slot, uint64_t from, uint64_t to)
{
	return __atomic_compare_exchange_n(&slot->pulse, &from, to, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* vigil_take_ returns a slot that is claimed now, or NULL. */
VIGIL_API vigil_slot *vigil_take_(vigil_page *page)
{
	uint32_t begin = __atomic_load_n(&page->next, __ATOMIC_RELAXED), i;

	for (i = 0; i < page->count; i++) {
		uint32_t at = (begin + i) % page->count;
		if (vigil_exchange_(&page->slots[at], VIGIL_FREE, VIGIL_CLAIMED)) {
			__atomic_store_n(&page->next, at + 1, __ATOMIC_RELAXED);
			return &page->slots[at];
		}
	}
	/* Those whose process is gone. Processes that share a page share a pid
	 * namespace; where they do not, a page must not run full. */
	for (i = 0; i < page->count; i++) {
		uint64_t pulse = __atomic_load_n(&page->slots[i].pulse, __ATOMIC_ACQUIRE);
		uint64_t thread = __atomic_load_n(&page->slots[i].thread, __ATOMIC_RELAXED);
		uint64_t state = pulse & 0xff;
		uint32_t pid;

		memcpy(&pid, &thread, sizeof pid);
		if (state < VIGIL_IDLE || state > VIGIL_STOPPING || pid == 0 || pid > (1u << 30))
			continue;
		if (kill((pid_t)pid, 0) != 0 && errno == ESRCH && vigil_exchange_(&page->slots[i], pulse, VIGIL_CLAIMED))
			return &page->slots[i];
	}
	return NULL;
}

/* vigil_thread_ is this process and thread, as a slot has them. */
VIGIL_API uint64_t vigil_thread_(void)
{
	return vigil_pair_((uint32_t)getpid(), (uint32_t)syscall(SYS_gettid));
}

/*
 * vigil_claim takes a slot for an activity of the calling thread, which is idle
 * at first. A timeout of 0 means the one of the service (heartbeat.timeout). A
 * name has at most 32 bytes; a longer one is cut at a character. When there is
 * no free slot, one is taken whose process is gone.
 */
VIGIL_API int vigil_claim(vigil_page *page, vigil_activity *activity, const char *name, uint64_t timeout)
{
	uint64_t words[VIGIL_MAX_NAME / 8], serial;
	uint32_t last;
	size_t length, i;
	vigil_slot *slot;

	activity->slot = NULL;
	if (name == NULL || *name == '\0')
		return VIGIL_ERROR_NAME;
	if (page->count == 0)
		return VIGIL_OK;
	if ((slot = vigil_take_(page)) == NULL)
		return VIGIL_ERROR_FULL;

	length = strlen(name);
	if (length > VIGIL_MAX_NAME)
		for (length = VIGIL_MAX_NAME; length > 0 && ((unsigned char)name[length] & 0xc0) == 0x80;)
			length--;
	memset(words, 0, sizeof words);
	memcpy(words, name, length);

	/* The serial first and the pulse last: a reader relies on both. */
	serial = __atomic_load_n(&slot->serial, __ATOMIC_RELAXED);
	memcpy(&last, &serial, sizeof last);
	__atomic_store_n(&slot->serial, vigil_pair_(last + 1, 0), __ATOMIC_RELEASE);
	__atomic_store_n(&slot->timeout, timeout, __ATOMIC_RELEASE);
	__atomic_store_n(&slot->thread, vigil_thread_(), __ATOMIC_RELEASE);
	for (i = 0; i < VIGIL_MAX_NAME / 8; i++)
		__atomic_store_n(&slot->name[i], words[i], __ATOMIC_RELEASE);
	__atomic_store_n(&slot->pulse, UINT64_C(1) << 8 | VIGIL_IDLE, __ATOMIC_RELEASE);
	__atomic_store_n(&activity->slot, slot, __ATOMIC_RELEASE);
	return VIGIL_OK;
}

VIGIL_API void vigil_change_(vigil_activity *activity, enum vigil_state state)
{
	vigil_slot *slot = __atomic_load_n(&activity->slot, __ATOMIC_RELAXED);
	uint64_t beats;

	if (slot == NULL)
		return;
	beats = (__atomic_load_n(&slot->pulse, __ATOMIC_RELAXED) >> 8) + 1;
	__atomic_store_n(&slot->pulse, beats << 8 | (uint64_t)state, __ATOMIC_RELEASE);
}

/* vigil_beat says that the work gets on: one store. The state stays as it is. */
VIGIL_API void vigil_beat(vigil_activity *activity)
{
	vigil_slot *slot = __atomic_load_n(&activity->slot, __ATOMIC_RELAXED);

	if (slot != NULL)
		__atomic_store_n(&slot->pulse, __atomic_load_n(&slot->pulse, __ATOMIC_RELAXED) + 256, __ATOMIC_RELEASE);
}

/* vigil_busy says that there is work: from now on it must beat. */
VIGIL_API void vigil_busy(vigil_activity *activity) { vigil_change_(activity, VIGIL_BUSY); }

/* vigil_idle says that there is nothing to do. */
VIGIL_API void vigil_idle(vigil_activity *activity) { vigil_change_(activity, VIGIL_IDLE); }

/* vigil_stopping says that it winds up because the program is about to end. */
VIGIL_API void vigil_stopping(vigil_activity *activity) { vigil_change_(activity, VIGIL_STOPPING); }

/* vigil_here is for a thread that takes an activity over from another one. */
VIGIL_API void vigil_here(vigil_activity *activity)
{
	vigil_slot *slot = __atomic_load_n(&activity->slot, __ATOMIC_RELAXED);

	if (slot != NULL)
		__atomic_store_n(&slot->thread, vigil_thread_(), __ATOMIC_RELEASE);
}

/*
 * vigil_release gives the slot back, once no thread uses the activity. What is
 * done to it afterwards has no effect.
 */
VIGIL_API void vigil_release(vigil_activity *activity)
{
	vigil_slot *slot = __atomic_exchange_n(&activity->slot, (vigil_slot *)NULL, __ATOMIC_ACQ_REL);

	if (slot != NULL)
		__atomic_store_n(&slot->pulse, VIGIL_FREE, __ATOMIC_RELEASE);
}

#ifdef __cplusplus
}
#endif

#endif
