/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the guest tests share: a DRM client small enough to say exactly which
 * commands it causes, the cache's knobs and counters, and a count of what
 * really went over the control queue.
 *
 * Helpers fail the running test when something goes wrong; those named try_*
 * return a negative errno instead, for tests that expect the failure.
 */
#ifndef TESTS_VIRTGPU_H
#define TESTS_VIRTGPU_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <sys/types.h>
#include <time.h>

#include <cmocka.h>
#include <drm.h>
#include <virtgpu_drm.h>

#define KIB 1024ull
#define MIB (1024 * KIB)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Works in a forked client too, where cmocka's own asserts must not be used */
#define must(cond) \
	((cond) ? (void)0 : must_fail(#cond, __FILE__, __LINE__))
void must_fail(const char *cond, const char *file, int line)
	__attribute__((noreturn));

/* Time: order is waited for with a limit that only a hang exceeds */
#define HANG_MS 60000
#define wait_until(cond) ({				\
	uint64_t end_ = now_ms() + HANG_MS;		\
	while (!(cond)) {				\
		must(now_ms() < end_ && #cond);		\
		sleep_ms(5);				\
	}						\
})
uint64_t clock_ns(clockid_t clock);
uint64_t now_us(void);
uint64_t now_ms(void);
void sleep_ms(unsigned int ms);
void sleep_until_ms(uint64_t when);
int by_value(const void *a, const void *b);	/* qsort() of uint64_t */

/* A DRM file: render node, card node, and what the device can do */
int render_open(void);
int card_open(void);
int card_open_bare(void);			/* without a context on the host */
bool has_virgl(void);
bool has_blob(void);
void need_virgl(void);				/* or the test is skipped */
void need_blob(void);

/* What to create: the fields of the create ioctl are the identity */
typedef struct drm_virtgpu_resource_create shape_t;

enum {						/* virgl's bind flags */
	BIND_RENDER_TARGET = 1 << 1,
	BIND_SAMPLER_VIEW = 1 << 3,
	BIND_VERTEX = 1 << 4,
	BIND_INDEX = 1 << 5,
	BIND_CUSTOM = 1 << 17,
	BIND_SCANOUT = 1 << 18,
};

enum { TARGET_BUFFER = 0, TARGET_2D = 2, TARGET_3D = 3 };
enum { FORMAT_BGRA8 = 1, FORMAT_BGRX8 = 2, FORMAT_R8 = 64, FORMAT_RGBA8 = 67 };

shape_t buffer(uint32_t bytes);			/* vertex buffer */
shape_t texture(uint32_t width, uint32_t height, uint32_t bind);

struct bo {
	int fd;
	uint32_t handle, res;
	uint64_t size;				/* what the kernel says */
	uint32_t width, height;			/* of the transfer box */
	uint32_t *map;
};

int try_bo_create(int fd, const shape_t *shape, struct bo *bo);
struct bo bo_create(int fd, shape_t shape);
struct bo bo_dumb(int fd, uint32_t width, uint32_t height);
struct bo bo_blob(int fd, uint64_t size);
/* Of so many bytes: a buffer, or on a 2D device a dumb one */
struct bo bo_plain(int fd, uint32_t bytes);
void bo_close(struct bo *bo);			/* the mapping too */
void bo_cycle(int fd, shape_t shape);		/* create and close */

uint64_t bo_offset(struct bo *bo);
uint32_t *bo_map(struct bo *bo);
void bo_unmap(struct bo *bo);
void bo_fill(struct bo *bo, uint32_t word);
/* The first word that is (not) WORD, as an index; -1 if there is none */
long bo_find(struct bo *bo, uint32_t word);
long bo_find_other(struct bo *bo, uint32_t word);

bool bo_busy(struct bo *bo);
void bo_wait(struct bo *bo);
void bo_to_host(struct bo *bo);			/* both queue, none waits */
void bo_from_host(struct bo *bo);

int bo_export(struct bo *bo);			/* -> dma-buf */
struct bo bo_import(int fd, int dmabuf, const struct bo *like);
uint32_t bo_flink(struct bo *bo);

/* Frees N plain BOs; those for the pages tier have been shared */
enum tier { RESOURCE = 1, PAGES = 2, BOTH = RESOURCE | PAGES };
void bos_free(int fd, unsigned int n, uint32_t bytes, enum tier tier);

/* virgl command streams; each call submits one and waits for the host */
void gpu_surface(int fd, uint32_t surface, const struct bo *bo);
void gpu_clear(int fd, uint32_t surface, uint32_t bgra);
void gpu_copy(int fd, uint32_t dst_res, uint32_t src_res,
	      uint32_t width, uint32_t height);

/* A client: a process that runs WORK, then sleeps with its files open */
struct client {
	pid_t pid;
	int ready, leave;
};

struct client client_start(void (*work)(void *), void *arg);
struct client client_ready(void (*work)(void *), void *arg); /* work done */
int client_run(void (*work)(void *), void *arg); /* -> its wait status */
/* Work: creates, closes, maps, shares, closes the file, until END */
void client_churn(unsigned int seed, uint64_t end);
void client_stop(struct client *c);		/* SIGSTOP */
void client_exit(struct client *c);		/* asks it to exit, waits */
void client_kill(struct client *c);		/* SIGKILL, also a stopped one */
bool client_gone(struct client *c);		/* killed, and now ended */

/*
 * The cache. Each test starts with fresh_cache(): default knobs, empty.
 * With VIRTGPU_TEST_ENABLED=0 in the environment the cache stays off, so the
 * plain tests run without it; need_cache() skips those that are about it.
 */
int fresh_cache(void **state);
int lasting_cache(void **state);		/* the same, and they stay */
int cache_stays_empty(void **state);		/* group teardown */
bool has_cache(void);
void need_cache(void);
int try_knob_write(const char *name, const char *text);
void knob_write(const char *name, uint64_t value);
uint64_t knob_read(const char *name);
int try_file_write(const char *path, const char *text);
int try_file_read(const char *path, char *text, size_t size);
uint64_t stat_of(const char *name);
uint64_t held_bos(void);
uint64_t held_bytes(void);
void wait_for_rest(void);			/* nothing on its way */
void assert_counters_add_up(void);

#define test(f) cmocka_unit_test_setup(f, fresh_cache)
/* With entries that stay for a minute, as a machine may be slow */
#define test_lasting(f) cmocka_unit_test_setup(f, lasting_cache)
/* In a memory cgroup of its own, where nothing has backed off yet */
#define test_in_group(f) cmocka_unit_test_setup_teardown(f, fresh_group, \
							 leave_group)
#define run(tests) \
	cmocka_run_group_tests(tests, NULL, cache_stays_empty)

/* The shrinker, by debugfs: what it counts, and a scan for so many pages */
uint64_t shrink_count(void);
int try_shrink(const char *text);
void shrink(uint64_t pages);
void shrink_all(void);				/* waits until it is free */
bool cache_holds(uint32_t res);			/* by the list in debugfs */

/* Memory, as /proc tells it */
uint64_t meminfo_kib(const char *name);
uint64_t vmstat_of(const char *name);
uint64_t shmem_kib(void);
void drop_caches(const char *what);
void *memory_take(uint64_t bytes);		/* and writes to every page */
void memory_give(void *p, uint64_t bytes);
bool memory_is_there(uint64_t bytes);		/* in a process of its own */

/* Memory cgroups by their path below /sys/fs/cgroup; the root's is "." */
void group_make(const char *group, uint64_t max);	/* 0: no limit */
void group_enter(const char *group);
void group_remove(const char *group);
int try_group_write(const char *group, const char *file, const char *text);
uint64_t group_read(const char *group, const char *file);
uint64_t group_stat(const char *group, const char *file, const char *key);
void group_enter_own(void);			/* the one of test_in_group() */
int fresh_group(void **state);
int leave_group(void **state);

/*
 * QEMU's monitor, where a port named "qmp" leads to it; else the test is
 * skipped. Takes commands, one a line, and returns the answer to the last.
 */
void need_qmp(void);
const char *qmp(const char *commands);

/*
 * Allocations that fail, where the kernel can have them fail: one in a hundred,
 * whatever it is for, of tasks with make-it-fail, and those of fail-nth.
 */
bool has_faults(void);
void switch_faults(bool on);

/* What went over the control queue, from the driver's own trace events */
struct commands {
	unsigned int all;
	unsigned int creates, unrefs, attaches;
	unsigned int ctx_attaches, ctx_detaches;
	unsigned int errors;			/* 0x12xx answers */
	unsigned int first_error;
	unsigned int unrefs_at_once;		/* most with the host; 0: 6.1 */
	unsigned int unrefs_ahead;		/* of any other command */
	unsigned int len;			/* types, in order */
	uint16_t type[64];
};

void commands_start(void);
struct commands commands_stop(void);		/* once all are answered */
/* How often a work of the driver's was queued in between */
void works_start(void);
unsigned int works_stop(void);
/* How many pages this task has allocated in between */
struct pages {
	uint64_t all;
	uint64_t reclaimable;			/* for what can be given up */
};

void need_page_counts(void);
void pages_start(void);
struct pages pages_stop(void);
/* How often an event of the cache's happened in between */
void events_start(const char *event);
unsigned int events_stop(void);
uint64_t event_field(const char *name);		/* of the last of these */

#endif
