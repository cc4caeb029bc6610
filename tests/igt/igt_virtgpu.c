// SPDX-License-Identifier: MIT
#include "igt_virtgpu.h"

#include <dirent.h>
#include <poll.h>

static int cache = -1;				/* its folder in sysfs */
static char device[32];

static const char *const knobs[] = { "enabled", "timeout_ms", "max_bytes" };
static uint64_t found[ARRAY_SIZE(knobs)];	/* their values, as we came */

/* DRM files */

static int find_cache(int fd)
{
	int sysfs = igt_sysfs_open(fd), folder;
	int parent = openat(sysfs, "device", O_RDONLY | O_DIRECTORY);
	DIR *dir = fdopendir(parent);
	struct dirent *entry;
	char path[64];

	igt_assert(dir);
	do {
		entry = readdir(dir);
		igt_assert(entry);
	} while (strncmp(entry->d_name, "virtio", 6));
	snprintf(device, sizeof(device), "%.31s", entry->d_name);
	snprintf(path, sizeof(path), "%s/bo_cache", device);
	folder = openat(parent, path, O_RDONLY | O_DIRECTORY);
	closedir(dir);
	close(sysfs);
	return folder;
}

static void restore_knobs(int signal)
{
	for (size_t i = 0; cache >= 0 && i < ARRAY_SIZE(knobs); i++)
		__igt_sysfs_set_u64(cache, knobs[i], found[i]);
}

static int with_context(int fd)
{
	const uint32_t nop = 0;

	if (virtgpu_has_virgl(fd))
		igt_assert_eq(__virtgpu_execbuffer(fd, &nop, sizeof(nop), NULL),
			      0);
	return fd;
}

int virtgpu_open(void)
{
	int fd = drm_open_driver(DRIVER_VIRTIO);

	if (cache >= 0)
		close(cache);
	cache = find_cache(fd);
	for (size_t i = 0; cache >= 0 && i < ARRAY_SIZE(knobs); i++)
		found[i] = virtgpu_knob(knobs[i]);
	igt_install_exit_handler(restore_knobs);
	return with_context(fd);
}

int virtgpu_reopen(int fd)
{
	return with_context(drm_reopen_driver(fd));
}

int virtgpu_param(int fd, uint64_t param)
{
	int value = 0;
	struct drm_virtgpu_getparam get = {
		.param = param, .value = to_user_pointer(&value)
	};

	return igt_ioctl(fd, DRM_IOCTL_VIRTGPU_GETPARAM, &get) ? -errno : value;
}

bool virtgpu_has_virgl(int fd)
{
	return virtgpu_param(fd, VIRTGPU_PARAM_3D_FEATURES) > 0;
}

void virtgpu_require(int fd, unsigned int needs)
{
	igt_require_f(!(needs & CACHE) || virtgpu_has_cache(),
		      "the driver has no BO cache\n");
	igt_require_f(!(needs & VIRGL) || virtgpu_has_virgl(fd),
		      "the device has no 3D\n");
	igt_require_f(!(needs & BLOB) ||
		      virtgpu_param(fd, VIRTGPU_PARAM_RESOURCE_BLOB) > 0,
		      "the device has no blobs\n");
}

void virtgpu_begin(int fd, unsigned int needs)
{
	virtgpu_require(fd, needs);
	if (!virtgpu_has_cache())
		return;
	restore_knobs(0);
	virtgpu_set_knob("enabled", 1);
	virtgpu_set_knob("timeout_ms", 60000);
	virtgpu_wait_until(virtgpu_is_kept(fd));
	virtgpu_set_knob("purge", 1);
}

/* BOs */

virtgpu_shape virtgpu_buffer(uint32_t bytes)
{
	return (virtgpu_shape){
		.target = 0, .format = 64 /* R8 */, .bind = BIND_VERTEX,
		.width = bytes, .height = 1, .depth = 1, .array_size = 1,
		.size = bytes,
	};
}

virtgpu_shape virtgpu_texture(uint32_t width, uint32_t height, uint32_t bind)
{
	return (virtgpu_shape){
		.target = 2, .format = 1 /* BGRA8 */, .bind = bind,
		.width = width, .height = height, .depth = 1, .array_size = 1,
		.size = width * height * 4, .stride = width * 4,
	};
}

static struct virtgpu_bo new_bo(int fd, uint32_t handle, uint32_t width,
				uint32_t height)
{
	struct drm_virtgpu_resource_info info = { .bo_handle = handle };

	do_ioctl(fd, DRM_IOCTL_VIRTGPU_RESOURCE_INFO, &info);
	return (struct virtgpu_bo){
		.fd = fd, .handle = handle, .res = info.res_handle,
		.size = info.size, .width = width, .height = height,
	};
}

struct virtgpu_bo virtgpu_create(int fd, virtgpu_shape shape)
{
	do_ioctl(fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &shape);
	return new_bo(fd, shape.bo_handle, shape.width, shape.height);
}

struct virtgpu_bo virtgpu_create_dumb(int fd, uint32_t width, uint32_t height)
{
	struct drm_mode_create_dumb arg = {
		.width = width, .height = height, .bpp = 32
	};

	do_ioctl(fd, DRM_IOCTL_MODE_CREATE_DUMB, &arg);
	return new_bo(fd, arg.handle, width, height);
}

struct virtgpu_bo virtgpu_create_blob(int fd, uint64_t bytes)
{
	struct drm_virtgpu_resource_create_blob arg = {
		.blob_mem = VIRTGPU_BLOB_MEM_GUEST,
		.blob_flags = VIRTGPU_BLOB_FLAG_USE_MAPPABLE,
		.size = bytes,
	};

	do_ioctl(fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB, &arg);
	return new_bo(fd, arg.bo_handle, bytes, 1);
}

struct virtgpu_bo virtgpu_create_plain(int fd, uint32_t bytes)
{
	if (virtgpu_has_virgl(fd))
		return virtgpu_create(fd, virtgpu_buffer(bytes));
	return virtgpu_create_dumb(fd, 256, bytes / 1024);
}

struct virtgpu_bo virtgpu_import(int fd, int dmabuf)
{
	return new_bo(fd, prime_fd_to_handle(fd, dmabuf), 0, 0);
}

void virtgpu_close(struct virtgpu_bo *bo)
{
	virtgpu_unmap(bo);
	gem_close(bo->fd, bo->handle);
}

void virtgpu_share(const struct virtgpu_bo *bo)
{
	close(prime_handle_to_fd(bo->fd, bo->handle));
}

/* Content */

uint64_t virtgpu_offset(const struct virtgpu_bo *bo)
{
	struct drm_virtgpu_map arg = { .handle = bo->handle };

	do_ioctl(bo->fd, DRM_IOCTL_VIRTGPU_MAP, &arg);
	return arg.offset;
}

int __virtgpu_mmap(int fd, uint64_t offset, uint64_t size, uint32_t **map)
{
	*map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
	if (*map != MAP_FAILED)
		return 0;
	*map = NULL;
	return -errno;
}

uint32_t *virtgpu_map(struct virtgpu_bo *bo)
{
	if (!bo->map)
		igt_assert_eq(__virtgpu_mmap(bo->fd, virtgpu_offset(bo),
					     bo->size, &bo->map), 0);
	return bo->map;
}

void virtgpu_unmap(struct virtgpu_bo *bo)
{
	if (bo->map)
		munmap(bo->map, bo->size);
	bo->map = NULL;
}

void virtgpu_fill(struct virtgpu_bo *bo, uint32_t word)
{
	uint32_t *map = virtgpu_map(bo);

	for (size_t i = 0; i < bo->size / 4; i++)
		map[i] = word;
}

void virtgpu_assert_full_of(struct virtgpu_bo *bo, uint32_t word)
{
	const uint32_t *map = virtgpu_map(bo);

	for (size_t i = 0; i < bo->size / 4; i++)
		igt_assert_f(map[i] == word, "%#x at %zu, not %#x\n", map[i],
			     4 * i, word);
}

static sigjmp_buf fault;

static void on_fault(int signal)
{
	siglongjmp(fault, 1);
}

bool virtgpu_touch_faults(volatile uint32_t *word)
{
	struct sigaction act = { .sa_handler = on_fault }, old;
	volatile bool faulted = true;

	sigaction(SIGBUS, &act, &old);
	if (!sigsetjmp(fault, 1)) {
		(void)*word;
		faulted = false;
	}
	sigaction(SIGBUS, &old, NULL);
	return faulted;
}

/* The host */

bool virtgpu_busy(const struct virtgpu_bo *bo)
{
	struct drm_virtgpu_3d_wait arg = {
		.handle = bo->handle, .flags = VIRTGPU_WAIT_NOWAIT
	};

	if (!igt_ioctl(bo->fd, DRM_IOCTL_VIRTGPU_WAIT, &arg))
		return false;
	igt_assert_eq(errno, EBUSY);
	return true;
}

void virtgpu_wait(const struct virtgpu_bo *bo)
{
	virtgpu_wait_until(!virtgpu_busy(bo));
}

int __virtgpu_to_host(const struct virtgpu_bo *bo)
{
	struct drm_virtgpu_3d_transfer_to_host arg = {
		.bo_handle = bo->handle,
		.box = { .w = bo->width, .h = bo->height, .d = 1 },
	};

	return igt_ioctl(bo->fd, DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST, &arg) ?
	       -errno : 0;
}

int __virtgpu_from_host(const struct virtgpu_bo *bo)
{
	struct drm_virtgpu_3d_transfer_from_host arg = {
		.bo_handle = bo->handle,
		.box = { .w = bo->width, .h = bo->height, .d = 1 },
	};

	return igt_ioctl(bo->fd, DRM_IOCTL_VIRTGPU_TRANSFER_FROM_HOST, &arg) ?
	       -errno : 0;
}

void virtgpu_to_host(const struct virtgpu_bo *bo)
{
	igt_assert_eq(__virtgpu_to_host(bo), 0);
}

void virtgpu_from_host(const struct virtgpu_bo *bo)
{
	igt_assert_eq(__virtgpu_from_host(bo), 0);
}

/* Returns when the host has done it */
int __virtgpu_execbuffer(int fd, const uint32_t *words, size_t bytes,
			 const struct virtgpu_bo *bo)
{
	struct drm_virtgpu_execbuffer arg = {
		.flags = VIRTGPU_EXECBUF_FENCE_FD_OUT,
		.command = to_user_pointer(words), .size = bytes,
		.bo_handles = bo ? to_user_pointer(&bo->handle) : 0,
		.num_bo_handles = bo ? 1 : 0, .fence_fd = -1,
	};
	struct pollfd fence = { .events = POLLIN };

	if (igt_ioctl(fd, DRM_IOCTL_VIRTGPU_EXECBUFFER, &arg))
		return -errno;
	fence.fd = arg.fence_fd;
	igt_assert_eq(poll(&fence, 1, HANG_MS), 1);
	close(fence.fd);
	return 0;
}

/* virgl's streams: a word of opcode, object and length, then arguments */
#define CCMD(op, object, len) ((op) | (object) << 8 | (len) << 16)

void virtgpu_surface(int fd, uint32_t surface, const struct virtgpu_bo *bo)
{
	const uint32_t words[] = {
		CCMD(1 /* create object */, 8 /* surface */, 5),
		surface, bo->res, 1 /* BGRA8 */, 0 /* level */, 0 /* layers */,
	};

	igt_assert_eq(__virtgpu_execbuffer(fd, words, sizeof(words), NULL), 0);
}

void virtgpu_clear(int fd, uint32_t surface, uint8_t gray)
{
	const float value = gray / 255.0f;
	uint32_t bits, words[] = {
		CCMD(5 /* set framebuffer */, 0, 3), 1, 0 /* no depth */,
		surface,
		CCMD(7 /* clear */, 0, 8), 1 << 2 /* color 0 */,
		0, 0, 0, 0, 0, 0 /* depth */, 0 /* stencil */,
	};

	memcpy(&bits, &value, sizeof(bits));
	for (int i = 6; i < 10; i++)
		words[i] = bits;
	igt_assert_eq(__virtgpu_execbuffer(fd, words, sizeof(words), NULL), 0);
}

void virtgpu_watch_commands(bool on)
{
	const char *event = "events/virtio_gpu/virtio_gpu_cmd_queue/enable";
	int tracing = open("/sys/kernel/tracing", O_RDONLY | O_DIRECTORY);

	igt_require_f(!faccessat(tracing, event, W_OK, 0),
		      "the driver's commands can't be traced\n");
	if (on)
		close(openat(tracing, "trace", O_WRONLY | O_TRUNC));
	igt_assert_eq(igt_sysfs_write(tracing, event, on ? "1" : "0", 1), 1);
	close(tracing);
}

unsigned int virtgpu_count_commands(unsigned int type)
{
	FILE *trace = fopen("/sys/kernel/tracing/trace", "r");
	char line[512], wanted[32];
	unsigned int count = 0;

	igt_assert(trace);
	snprintf(wanted, sizeof(wanted), "type=0x%x ", type);
	while (fgets(line, sizeof(line), trace))
		count += strstr(line, "cmd_queue:") && strstr(line, wanted);
	fclose(trace);
	return count;
}

/* The cache */

bool virtgpu_has_cache(void)
{
	return cache >= 0;
}

const char *virtgpu_device(void)
{
	return device;
}

int __virtgpu_knob(const char *name, const char *text)
{
	int len = strlen(text), ret = igt_sysfs_write(cache, name, text, len);

	return ret == len ? 0 : ret;
}

void virtgpu_set_knob(const char *name, uint64_t value)
{
	igt_sysfs_set_u64(cache, name, value);
}

uint64_t virtgpu_knob(const char *name)
{
	return igt_sysfs_get_u64(cache, name);
}

uint64_t virtgpu_stat(const char *name)
{
	char path[80];

	snprintf(path, sizeof(path), "stats/%s", name);
	return virtgpu_knob(path);
}

uint64_t virtgpu_held_bos(void)
{
	return virtgpu_stat("held_resource_bos") +
	       virtgpu_stat("held_pages_bos");
}

uint64_t virtgpu_held_bytes(void)
{
	return virtgpu_stat("held_resource_bytes") +
	       virtgpu_stat("held_pages_bytes");
}

bool virtgpu_is_kept(int fd)
{
	uint64_t puts = virtgpu_stat("puts");
	uint64_t rejected = virtgpu_stat("rejected_pressure");
	struct virtgpu_bo bo = virtgpu_create_plain(fd, 64 * KIB);

	virtgpu_wait(&bo);
	virtgpu_close(&bo);
	virtgpu_wait_until(virtgpu_stat("puts") > puts ||
			   virtgpu_stat("rejected_pressure") > rejected);
	return virtgpu_stat("puts") > puts;
}

void virtgpu_drop_caches(void)
{
	int vm = open("/proc/sys/vm", O_RDONLY | O_DIRECTORY);

	igt_assert(vm >= 0);
	igt_assert_eq(igt_sysfs_write(vm, "drop_caches", "2", 1), 1);
	close(vm);
}

/* At rest, as Documentation/gpu/virtio-gpu-bo-cache.rst has it */
bool virtgpu_counters_add_up(void)
{
	return !virtgpu_stat("release_bos") &&
	       virtgpu_stat("puts") == virtgpu_stat("hits_resource") +
		virtgpu_stat("hits_pages") + virtgpu_stat("hits_purgeable") +
		virtgpu_stat("expired") + virtgpu_stat("purged") +
		virtgpu_held_bos() + virtgpu_stat("held_purgeable_bos");
}
