// SPDX-License-Identifier: GPL-2.0-or-later
#include "virtgpu.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <xf86drm.h>

static bool in_client;

void must_fail(const char *cond, const char *file, int line)
{
	int err = errno;

	fprintf(stderr, "# %s:%d: not true: %s (errno: %s)\n", file, line,
		cond, strerror(err));
	if (in_client)
		_exit(99);
	_fail(file, line);
	abort();
}

/* Time */

uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	must(!clock_gettime(clock, &t));
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

uint64_t now_us(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000;
}

uint64_t now_ms(void)
{
	return now_us() / 1000;
}

void sleep_until_ms(uint64_t when)
{
	struct timespec t = { when / 1000, when % 1000 * 1000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
		;
}

void sleep_ms(unsigned int ms)
{
	sleep_until_ms(now_ms() + ms);
}

int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* DRM files */

static int open_node(const char *dir, int first)
{
	for (int minor = first; minor < first + 16; minor++) {
		char path[64];
		drmVersionPtr v;
		bool ours;
		int fd;

		snprintf(path, sizeof(path), "/dev/dri/%s%d", dir, minor);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		v = drmGetVersion(fd);
		ours = v && !strcmp(v->name, "virtio_gpu");
		drmFreeVersion(v);
		if (ours)
			return fd;
		close(fd);
	}
	return -1;
}

static bool has_param(int fd, uint64_t param)
{
	int value = 0;
	struct drm_virtgpu_getparam get = {
		.param = param, .value = (uintptr_t)&value
	};

	return !drmIoctl(fd, DRM_IOCTL_VIRTGPU_GETPARAM, &get) && value;
}

static void submit(int fd, const uint32_t *words, size_t bytes);

/*
 * A host context from the start: without one, what is imported or created
 * dumb is not attached to it, and cannot be transferred.
 */
static int with_context(int fd)
{
	const uint32_t nop = 0;

	must(fd >= 0);
	if (has_param(fd, VIRTGPU_PARAM_3D_FEATURES))
		submit(fd, &nop, sizeof(nop));
	return fd;
}

int render_open(void)
{
	return with_context(open_node("renderD", 128));
}

int card_open(void)
{
	return with_context(open_node("card", 0));
}

int card_open_bare(void)
{
	int fd = open_node("card", 0);

	must(fd >= 0);
	return fd;
}

static bool device_has(uint64_t param)
{
	int fd = open_node("renderD", 128);
	bool has;

	must(fd >= 0);
	has = has_param(fd, param);
	close(fd);
	return has;
}

bool has_virgl(void)
{
	return device_has(VIRTGPU_PARAM_3D_FEATURES);
}

void need_virgl(void)
{
	if (!has_virgl())
		skip();
}

void need_blob(void)
{
	if (!has_blob())
		skip();
}

/* Buffer objects */

shape_t buffer(uint32_t bytes)
{
	return (shape_t){
		.target = TARGET_BUFFER, .format = FORMAT_R8,
		.bind = BIND_VERTEX, .width = bytes, .height = 1, .depth = 1,
		.array_size = 1, .size = bytes,
	};
}

shape_t texture(uint32_t width, uint32_t height, uint32_t bind)
{
	return (shape_t){
		.target = TARGET_2D, .format = FORMAT_BGRA8, .bind = bind,
		.width = width, .height = height, .depth = 1, .array_size = 1,
		.size = width * height * 4, .stride = width * 4,
	};
}

static void ask_kernel(struct bo *bo)
{
	struct drm_virtgpu_resource_info info = { .bo_handle = bo->handle };

	must(!drmIoctl(bo->fd, DRM_IOCTL_VIRTGPU_RESOURCE_INFO, &info));
	bo->res = info.res_handle;
	bo->size = info.size;
}

int try_bo_create(int fd, const shape_t *shape, struct bo *bo)
{
	shape_t arg = *shape;

	if (drmIoctl(fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &arg))
		return -errno;
	*bo = (struct bo){
		.fd = fd, .handle = arg.bo_handle,
		.width = arg.width, .height = arg.height,
	};
	ask_kernel(bo);
	must(bo->res == arg.res_handle);
	return 0;
}

struct bo bo_create(int fd, shape_t shape)
{
	struct bo bo;

	must(!try_bo_create(fd, &shape, &bo));
	return bo;
}

struct bo bo_dumb(int fd, uint32_t width, uint32_t height)
{
	struct drm_mode_create_dumb arg = {
		.width = width, .height = height, .bpp = 32
	};
	struct bo bo = { .fd = fd, .width = width, .height = height };

	must(!drmIoctl(fd, DRM_IOCTL_MODE_CREATE_DUMB, &arg));
	bo.handle = arg.handle;
	ask_kernel(&bo);
	return bo;
}

/* Bookworm's libdrm does not know blobs: there a device has none */
#ifdef DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB

bool has_blob(void)
{
	return device_has(VIRTGPU_PARAM_RESOURCE_BLOB);
}

struct bo bo_blob(int fd, uint64_t size)
{
	struct drm_virtgpu_resource_create_blob arg = {
		.blob_mem = VIRTGPU_BLOB_MEM_GUEST,
		.blob_flags = VIRTGPU_BLOB_FLAG_USE_MAPPABLE,
		.size = size,
	};
	struct bo bo = { .fd = fd, .width = size, .height = 1 };

	must(!drmIoctl(fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB, &arg));
	bo.handle = arg.bo_handle;
	ask_kernel(&bo);
	return bo;
}

#else

bool has_blob(void)
{
	return false;
}

struct bo bo_blob(int fd, uint64_t size)
{
	(void)fd;
	(void)size;
	must(!"no blobs");
}

#endif

struct bo bo_plain(int fd, uint32_t bytes)
{
	return has_virgl() ? bo_create(fd, buffer(bytes)) :
			     bo_dumb(fd, 256, bytes / 1024);
}

void bos_free(int fd, unsigned int n, uint32_t bytes, enum tier tier)
{
	struct bo *bo = calloc(n, sizeof(*bo));

	must(bo);
	for (unsigned int i = 0; i < n; i++) {
		bo[i] = bo_plain(fd, bytes);
		if (tier == PAGES || (tier == BOTH && i & 1))
			close(bo_export(&bo[i]));
	}
	for (unsigned int i = 0; i < n; i++) {
		bo_wait(&bo[i]);
		bo_close(&bo[i]);
	}
	free(bo);
}

void bo_close(struct bo *bo)
{
	struct drm_gem_close arg = { .handle = bo->handle };

	bo_unmap(bo);
	must(!drmIoctl(bo->fd, DRM_IOCTL_GEM_CLOSE, &arg));
}

void bo_cycle(int fd, shape_t shape)
{
	struct drm_gem_close arg = { 0 };

	must(!drmIoctl(fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &shape));
	arg.handle = shape.bo_handle;
	must(!drmIoctl(fd, DRM_IOCTL_GEM_CLOSE, &arg));
}

uint64_t bo_offset(struct bo *bo)
{
	struct drm_virtgpu_map arg = { .handle = bo->handle };

	must(!drmIoctl(bo->fd, DRM_IOCTL_VIRTGPU_MAP, &arg));
	return arg.offset;
}

uint32_t *bo_map(struct bo *bo)
{
	if (!bo->map) {
		bo->map = mmap(NULL, bo->size, PROT_READ | PROT_WRITE,
			       MAP_SHARED, bo->fd, bo_offset(bo));
		must(bo->map != MAP_FAILED);
	}
	return bo->map;
}

void bo_unmap(struct bo *bo)
{
	if (bo->map)
		must(!munmap(bo->map, bo->size));
	bo->map = NULL;
}

void bo_fill(struct bo *bo, uint32_t word)
{
	uint32_t *p = bo_map(bo);

	for (size_t i = 0; i < bo->size / 4; i++)
		p[i] = word;
}

long bo_find(struct bo *bo, uint32_t word)
{
	const uint32_t *p = bo_map(bo);

	for (size_t i = 0; i < bo->size / 4; i++)
		if (p[i] == word)
			return i;
	return -1;
}

long bo_find_other(struct bo *bo, uint32_t word)
{
	const uint32_t *p = bo_map(bo);

	for (size_t i = 0; i < bo->size / 4; i++)
		if (p[i] != word)
			return i;
	return -1;
}

bool bo_busy(struct bo *bo)
{
	struct drm_virtgpu_3d_wait arg = {
		.handle = bo->handle, .flags = VIRTGPU_WAIT_NOWAIT
	};

	if (!drmIoctl(bo->fd, DRM_IOCTL_VIRTGPU_WAIT, &arg))
		return false;
	must(errno == EBUSY);
	return true;
}

void bo_wait(struct bo *bo)
{
	wait_until(!bo_busy(bo));
}

void bo_to_host(struct bo *bo)
{
	struct drm_virtgpu_3d_transfer_to_host arg = {
		.bo_handle = bo->handle,
		.box = { .w = bo->width, .h = bo->height, .d = 1 },
	};

	must(!drmIoctl(bo->fd, DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST, &arg));
}

void bo_from_host(struct bo *bo)
{
	struct drm_virtgpu_3d_transfer_from_host arg = {
		.bo_handle = bo->handle,
		.box = { .w = bo->width, .h = bo->height, .d = 1 },
	};

	must(!drmIoctl(bo->fd, DRM_IOCTL_VIRTGPU_TRANSFER_FROM_HOST, &arg));
}

int bo_export(struct bo *bo)
{
	int dmabuf;

	must(!drmPrimeHandleToFD(bo->fd, bo->handle, DRM_CLOEXEC, &dmabuf));
	return dmabuf;
}

struct bo bo_import(int fd, int dmabuf, const struct bo *like)
{
	struct bo bo = {
		.fd = fd, .width = like->width, .height = like->height
	};

	must(!drmPrimeFDToHandle(fd, dmabuf, &bo.handle));
	ask_kernel(&bo);
	return bo;
}

uint32_t bo_flink(struct bo *bo)
{
	struct drm_gem_flink arg = { .handle = bo->handle };

	must(!drmIoctl(bo->fd, DRM_IOCTL_GEM_FLINK, &arg));
	return arg.name;
}

/* virgl command streams: a header word (opcode, object, length), arguments */

enum { CCMD_CREATE_OBJECT = 1, CCMD_SET_FRAMEBUFFER_STATE = 5,
       CCMD_CLEAR = 7, CCMD_COPY_REGION = 17 };
enum { OBJECT_SURFACE = 8 };
enum { CLEAR_COLOR0 = 1 << 2 };

#define CCMD(op, object, len) ((op) | (object) << 8 | (len) << 16)

static void submit(int fd, const uint32_t *words, size_t bytes)
{
	struct drm_virtgpu_execbuffer arg = {
		.flags = VIRTGPU_EXECBUF_FENCE_FD_OUT,
		.command = (uintptr_t)words, .size = bytes, .fence_fd = -1,
	};
	struct pollfd fence = { .events = POLLIN };

	must(!drmIoctl(fd, DRM_IOCTL_VIRTGPU_EXECBUFFER, &arg));
	fence.fd = arg.fence_fd;
	must(poll(&fence, 1, HANG_MS) == 1);
	close(fence.fd);
}

void gpu_surface(int fd, uint32_t surface, const struct bo *bo)
{
	const uint32_t words[] = {
		CCMD(CCMD_CREATE_OBJECT, OBJECT_SURFACE, 5),
		surface, bo->res, FORMAT_BGRA8, 0 /* level */, 0 /* layers */,
	};

	submit(fd, words, sizeof(words));
}

static uint32_t float_bits(uint32_t byte)
{
	float f = (byte & 0xff) / 255.0f;
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

void gpu_clear(int fd, uint32_t surface, uint32_t bgra)
{
	const uint32_t words[] = {
		CCMD(CCMD_SET_FRAMEBUFFER_STATE, 0, 3),
		1 /* color buffer */, 0 /* no depth */, surface,
		CCMD(CCMD_CLEAR, 0, 8), CLEAR_COLOR0,
		float_bits(bgra >> 16), float_bits(bgra >> 8),
		float_bits(bgra), float_bits(bgra >> 24),
		0, 0 /* depth */, 0 /* stencil */,
	};

	submit(fd, words, sizeof(words));
}

void gpu_copy(int fd, uint32_t dst_res, uint32_t src_res,
	      uint32_t width, uint32_t height)
{
	const uint32_t words[] = {
		CCMD(CCMD_COPY_REGION, 0, 13),
		dst_res, 0 /* level */, 0, 0, 0,
		src_res, 0 /* level */, 0, 0, 0, width, height, 1,
	};

	submit(fd, words, sizeof(words));
}

/* Clients */

struct client client_start(void (*work)(void *), void *arg)
{
	int ready[2], leave[2];
	struct client c;
	char byte = 0;

	must(!pipe2(ready, O_CLOEXEC) && !pipe2(leave, O_CLOEXEC));
	fflush(NULL);
	c.pid = fork();
	must(c.pid >= 0);
	if (!c.pid) {
		in_client = true;
		work(arg);
		must(write(ready[1], &byte, 1) == 1);
		/* Sleeps until the parent has a byte for it */
		_exit(read(leave[0], &byte, 1) != 1);
	}
	close(ready[1]);
	close(leave[0]);
	c.ready = ready[0];
	c.leave = leave[1];
	return c;
}

struct client client_ready(void (*work)(void *), void *arg)
{
	struct client c = client_start(work, arg);
	char byte;

	must(read(c.ready, &byte, 1) == 1);
	return c;
}

int client_run(void (*work)(void *), void *arg)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	must(pid >= 0);
	if (!pid) {
		in_client = true;
		work(arg);
		_exit(0);
	}
	must(waitpid(pid, &status, 0) == pid);
	return status;
}

void client_churn(unsigned int seed, uint64_t end)
{
	bool virgl = has_virgl();
	int fd = card_open();
	struct bo bo[16];
	bool live[ARRAY_SIZE(bo)] = { false };

	while (now_ms() < end) {
		size_t i = rand_r(&seed) % ARRAY_SIZE(bo);
		uint32_t bytes = (1 + rand_r(&seed) % 64) * 4096;

		if (live[i]) {
			bo_close(&bo[i]);
			live[i] = false;
			continue;
		}
		if (virgl && rand_r(&seed) % 4)
			bo[i] = bo_create(fd, buffer(bytes));
		else
			bo[i] = bo_dumb(fd, 64, bytes / 256);
		live[i] = true;
		switch (rand_r(&seed) % 8) {
		case 0:
			close(bo_export(&bo[i]));
			break;
		case 1:
			must(bo_find_other(&bo[i], 0) == -1);
			bo_fill(&bo[i], seed);
			break;
		case 2:
			if (virgl)
				bo_to_host(&bo[i]);
			break;
		case 3:				/* a new file, a new owner */
			for (size_t n = 0; n < ARRAY_SIZE(bo); n++)
				if (live[n])
					bo_unmap(&bo[n]);
			memset(live, 0, sizeof(live));
			close(fd);
			fd = card_open();
			break;
		}
	}
}

void client_stop(struct client *c)
{
	int status;

	must(!kill(c->pid, SIGSTOP));
	must(waitpid(c->pid, &status, WUNTRACED) == c->pid);
	must(WIFSTOPPED(status));
}

void client_exit(struct client *c)
{
	int status;

	must(write(c->leave, "", 1) == 1);
	must(waitpid(c->pid, &status, 0) == c->pid);
	must(WIFEXITED(status) && !WEXITSTATUS(status));
	close(c->leave);
	close(c->ready);
}

void client_kill(struct client *c)
{
	must(!kill(c->pid, SIGKILL));
	must(waitpid(c->pid, NULL, 0) == c->pid);
	close(c->leave);
	close(c->ready);
}

bool client_gone(struct client *c)
{
	pid_t pid = waitpid(c->pid, NULL, WNOHANG);

	must(pid == 0 || pid == c->pid);
	if (pid) {
		close(c->leave);
		close(c->ready);
	}
	return pid;
}

/* The cache */

int try_file_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	do {
		n = read(fd, text + len, size - 1 - len);
		len += n > 0 ? n : 0;
	} while (n > 0);
	text[len] = 0;
	close(fd);
	return n < 0 ? -errno : 0;
}

int try_file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static const char *cache_dir(void)
{
	static char dir[PATH_MAX];
	glob_t g;

	if (dir[0] && !access(dir, F_OK))
		return dir;
	dir[0] = 0;
	if (!glob("/sys/bus/virtio/drivers/virtio_gpu/virtio*/bo_cache", 0,
		  NULL, &g))
		snprintf(dir, sizeof(dir), "%s", g.gl_pathv[0]);
	globfree(&g);
	return dir;
}

bool has_cache(void)
{
	return *cache_dir();
}

static bool kept_off(void)
{
	const char *s = getenv("VIRTGPU_TEST_ENABLED");

	return s && !strcmp(s, "0");
}

void need_cache(void)
{
	if (!has_cache() || kept_off())
		skip();
}

int try_knob_write(const char *name, const char *text)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", cache_dir(), name);
	return try_file_write(path, text);
}

void knob_write(const char *name, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)value);
	must(!try_knob_write(name, text));
}

uint64_t knob_read(const char *name)
{
	char path[PATH_MAX + 64], text[64], *end;
	uint64_t value;

	snprintf(path, sizeof(path), "%s/%s", cache_dir(), name);
	must(!try_file_read(path, text, sizeof(text)));
	if (text[0] == 'Y' || text[0] == 'N')
		return text[0] == 'Y';
	value = strtoull(text, &end, 10);
	must(end != text && (*end == '\n' || !*end));
	return value;
}

uint64_t stat_of(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "stats/%s", name);
	return knob_read(path);
}

uint64_t held_bos(void)
{
	return stat_of("held_resource_bos") + stat_of("held_pages_bos");
}

uint64_t held_bytes(void)
{
	return stat_of("held_resource_bytes") + stat_of("held_pages_bytes");
}

static bool counters_add_up(void)
{
	return stat_of("puts") == stat_of("hits_resource") +
		stat_of("hits_pages") + stat_of("hits_purgeable") +
		stat_of("expired") + stat_of("purged") + held_bos() +
		stat_of("held_purgeable_bos");
}

void wait_for_rest(void)
{
	struct commands c;

	/* Commands settle first: the last of them put BOs into the cache */
	commands_start();
	c = commands_stop();
	(void)c;
	if (has_cache())
		wait_until(!stat_of("release_bos"));
}

void assert_counters_add_up(void)
{
	wait_for_rest();
	wait_until(counters_add_up());
}

static uint64_t first_puts;

int fresh_cache(void **state)
{
	static uint64_t max_bytes;

	(void)state;
	/* A test that hangs ends here and counts as one that never ran */
	alarm(280);
	/* The console's cursor would add commands of its own */
	try_file_write("/sys/class/graphics/fbcon/cursor_blink", "0");
	if (!has_cache())
		return 0;
	if (!max_bytes) {
		max_bytes = knob_read("max_bytes");
		first_puts = stat_of("puts");
	}
	knob_write("enabled", !kept_off());
	knob_write("timeout_ms", 1000);
	knob_write("max_bytes", max_bytes);
	knob_write("purge", 1);
	wait_for_rest();
	knob_write("purge", 1);
	return 0;
}

int lasting_cache(void **state)
{
	fresh_cache(state);
	if (has_cache())
		knob_write("timeout_ms", 60000);
	return 0;
}

/* In the run that keeps the cache off nothing ever entered it */
int cache_stays_empty(void **state)
{
	fresh_cache(state);
	if (!has_cache() || !kept_off())
		return 0;
	if (stat_of("puts") == first_puts && !held_bos() && !held_bytes())
		return 0;
	fprintf(stderr, "# entries in a cache that is off\n");
	return -1;
}

/* Faults, where the kernel can inject them */

static const char *const injectors[] = { "failslab", "fail_page_alloc" };

static int try_fault_write(const char *injector, const char *name,
			   const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", injector, name);
	return try_file_write(path, text);
}

bool has_faults(void)
{
	return !access("/sys/kernel/debug/failslab/probability", F_OK) &&
	       !access("/proc/self/make-it-fail", F_OK);
}

void switch_faults(bool on)
{
	static const char *const settings[][2] = {
		{ "probability", "1" }, { "interval", "1" }, { "times", "-1" },
		{ "space", "0" }, { "verbose", "0" }, { "task-filter", "Y" },
		{ "ignore-gfp-wait", "N" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(injectors); i++) {
		must(!try_fault_write(injectors[i], "probability", "0"));
		for (size_t n = ARRAY_SIZE(settings); on && n-- > 0;)
			must(!try_fault_write(injectors[i], settings[n][0],
					      settings[n][1]));
		if (on && i == 1) {
			must(!try_fault_write(injectors[i],
					      "ignore-gfp-highmem", "N"));
			must(!try_fault_write(injectors[i], "min-order", "0"));
		}
	}
}
