// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the fuzzer does by EXECBUFFER. Streams are valid, so that their context
 * survives; those that are not have a context of their own.
 */
#include "fuzz.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define JOB_WORDS 24
#define JOB_BOS 4

/* virgl's: a header word (opcode, object, length), then arguments */
enum { CCMD_NOP = 0, CCMD_CREATE_OBJECT = 1, CCMD_DESTROY_OBJECT = 3,
       CCMD_SET_FRAMEBUFFER_STATE = 5, CCMD_CLEAR = 7,
       CCMD_COPY_REGION = 17 };
enum { OBJECT_SURFACE = 8, CLEAR_COLOR0 = 1 << 2 };

#define CCMD(op, object, len) ((op) | (object) << 8 | (len) << 16)

struct job {
	struct file *file;
	struct drm_virtgpu_execbuffer arg;
	uint32_t words[JOB_WORDS], len;
	uint32_t bo[JOB_BOS];
};

static struct job new_job(struct file *f)
{
	return (struct job){ .file = f, .arg.fence_fd = -1 };
}

static void add_words(struct job *job, const uint32_t *words, size_t n)
{
	must(job->len + n <= JOB_WORDS);
	memcpy(job->words + job->len, words, n * 4);
	job->len += n;
}

#define add(job, ...) do {						\
	const uint32_t words_[] = { __VA_ARGS__ };			\
	add_words(job, words_, ARRAY_SIZE(words_));			\
} while (0)

static void add_bo(struct job *job, uint32_t handle)
{
	must(job->arg.num_bo_handles < JOB_BOS);
	job->bo[job->arg.num_bo_handles++] = handle;
}

/*
 * Without memory for the fence, upstream's driver frees a file descriptor that
 * it never had, which is number 0: have that be nobody's.
 */
static void keep_number_0(void)
{
	must(dup2(STDERR_FILENO, STDIN_FILENO) == STDIN_FILENO);
}

static int submit(struct job *job)
{
	struct drm_virtgpu_execbuffer *arg = &job->arg;
	int err;

	if (!arg->command)
		arg->command = (uintptr_t)job->words;
	if (!arg->size)
		arg->size = job->len * 4;
	if (!arg->bo_handles)
		arg->bo_handles = (uintptr_t)job->bo;
	err = call(job->file->fd, DRM_IOCTL_VIRTGPU_EXECBUFFER, arg);
	if (err && me.make_it_fail >= 0)
		keep_number_0();
	return err;
}

/* A list of BOs that can't be allocated looks like one that is not there */
static bool submitted(struct job *job)
{
	int err = submit(job);

	if (device.virgl)
		return fine_or(err, ENOENT);
	refused(err, ENOSYS, 0);
	return false;
}

static void add_some_bos(struct job *job)
{
	struct handle *h = any_handle(has_any);

	if (h && h->file == job->file)
		add_bo(job, h->handle);
}

void exec_nop(void)
{
	struct job job = new_job(any_file());

	for (uint32_t n = 1 + rnd(8); n; n--)
		add(&job, CCMD(CCMD_NOP, 0, 0));
	add_some_bos(&job);
	submitted(&job);
}

/* Between BOs of one owner, of one format, to the same place */
static bool can_copy(const struct handle *dst, const struct handle *src)
{
	return dst->file == src->file && dst->object != src->object &&
	       has_host(src) && src->object->kind == dst->object->kind &&
	       src->object->owner == dst->object->owner &&
	       src->object->kind != DUMB &&
	       src->object->format == dst->object->format &&
	       !src->object->unneeded && !src->object->loose &&
	       !dst->object->loose;
}

static struct handle *source_for(const struct handle *dst)
{
	unsigned int first = rnd(HANDLES);

	for (int i = 0; i < HANDLES; i++) {
		struct handle *h = &me.handle[(first + i) % HANDLES];

		if (h->file && can_copy(dst, h))
			return h;
	}
	return NULL;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* A simulated host may not: see what becomes of a copy */
bool host_draws(void)
{
	int fd = render_open();
	struct bo from = bo_create(fd, buffer(4096));
	struct bo to = bo_create(fd, buffer(4096));
	bool draws;

	bo_fill(&from, tagged(0, 0, 0));
	bo_to_host(&from);
	gpu_copy(fd, to.res, from.res, 4096, 1);
	bo_from_host(&to);
	bo_wait(&to);
	draws = bo_map(&to)[0] == tagged(0, 0, 0);
	bo_close(&from);
	bo_close(&to);
	close(fd);
	return draws;
}

void exec_copy(void)
{
	struct handle *dst = any_handle(is_writable), *src;
	struct object common;
	uint32_t scale;
	struct job job;
	struct box box;

	src = dst && device.virgl ? source_for(dst) : NULL;
	if (!src)
		return;
	common.width = least(dst->object->width, src->object->width);
	common.height = least(dst->object->height, src->object->height);
	box = any_box(&common);
	scale = dst->object->kind == BUFFER ? 4 : 1;
	job = new_job(dst->file);
	add(&job, CCMD(CCMD_COPY_REGION, 0, 13),
	    dst->object->res, 0, box.x * scale, box.y, 0,
	    src->object->res, 0, box.x * scale, box.y, 0,
	    box.w * scale, box.h, 1);
	if (!one_in(4)) {
		add_bo(&job, dst->handle);
		add_bo(&job, src->handle);
	}
	if (submitted(&job) && device.draws)
		copied(dst->object, src->object, box);
}

static bool is_target(const struct handle *h)
{
	return is_writable(h) && h->object->kind == TEXTURE &&
	       h->object->format == FORMAT_BGRA8 &&
	       h->object->bind & BIND_RENDER_TARGET;
}

static uint32_t float_bits(uint32_t byte)
{
	float f = (byte & 0xff) / 255.0f;
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

/* The surface may stay, and with it the host's texture */
void exec_clear(void)
{
	struct handle *h = any_handle(is_target);
	uint32_t word, surface;
	struct job job;

	if (!h || !device.virgl)
		return;
	word = tagged(h->object->owner, 0, 0);
	surface = ++h->file->surfaces;
	job = new_job(h->file);
	add(&job, CCMD(CCMD_CREATE_OBJECT, OBJECT_SURFACE, 5), surface,
	    h->object->res, FORMAT_BGRA8, 0, 0);
	add(&job, CCMD(CCMD_SET_FRAMEBUFFER_STATE, 0, 3), 1, 0, surface);
	add(&job, CCMD(CCMD_CLEAR, 0, 8), CLEAR_COLOR0,
	    float_bits(word >> 16), float_bits(word >> 8), float_bits(word),
	    float_bits(word >> 24), 0, 0, 0);
	if (!one_in(4))
		add(&job, CCMD(CCMD_DESTROY_OBJECT, OBJECT_SURFACE, 1),
		    surface);
	add_bo(&job, h->handle);
	if (submitted(&job) && device.draws)
		cleared(h->object, word);
}

static int refuse_flags(struct job *job)
{
	job->arg.flags = 8u << rnd(28);
	return EINVAL;
}

static int refuse_handle(struct job *job)
{
	add_bo(job, BAD_HANDLE + rnd(100));
	return ENOENT;
}

static int refuse_fence(struct job *job)
{
	job->arg.flags = VIRTGPU_EXECBUF_FENCE_FD_IN;
	job->arg.fence_fd = one_in(2) ? -1 : job->file->fd;
	return EINVAL;
}

static int refuse_command(struct job *job)
{
	job->arg.command = 8;
	return EFAULT;
}

static int refuse_handles(struct job *job)
{
	job->arg.bo_handles = 8;
	job->arg.num_bo_handles = 1 + rnd(1000);
	return EFAULT;
}

static int refuse_ring(struct job *job)
{
	job->arg.flags = 4;		/* one of the file's rings */
	return EINVAL;
}

static int refuse_twice(struct job *job)
{
	struct handle *h = any_handle(has_any);

	if (!h)
		return refuse_flags(job);
	job->file = h->file;
	add_bo(job, h->handle);
	add_bo(job, h->handle);
	return EALREADY;
}

void exec_refused(void)
{
	static int (*const ways[])(struct job *) = {
		refuse_flags, refuse_handle, refuse_fence, refuse_command,
		refuse_handles, refuse_ring, refuse_twice,
	};
	struct job job = new_job(any_file());
	int error = one_of(ways)(&job);

	add(&job, CCMD(CCMD_NOP, 0, 0));
	/* No memory for the list of BOs: ENOENT, as above */
	refused(submit(&job), device.virgl ? error : ENOSYS,
		me.make_it_fail < 0 ? 0 : ENOENT);
}

/* One job's fence is waited for by the next */
void exec_fences(void)
{
	struct job first = new_job(any_file()), second = new_job(any_file());
	struct pollfd fence = { .events = POLLIN };

	add(&first, CCMD(CCMD_NOP, 0, 0));
	add(&second, CCMD(CCMD_NOP, 0, 0));
	first.arg.flags = VIRTGPU_EXECBUF_FENCE_FD_OUT;
	add_some_bos(&first);
	if (!submitted(&first))
		return;
	fence.fd = first.arg.fence_fd;
	second.arg.flags = VIRTGPU_EXECBUF_FENCE_FD_IN;
	second.arg.fence_fd = fence.fd;
	submitted(&second);
	if (one_in(2) && poll(&fence, 1, HANG_MS) != 1)
		wrong("a fence that does not signal in %u ms", HANG_MS);
	must(!close(fence.fd));
}

#ifdef VIRTGPU_EXECBUF_SYNCOBJ_FLAGS

static bool new_syncobj(struct file *f, uint32_t *handle)
{
	struct drm_syncobj_create arg = { 0 };

	if (!fine(call(f->fd, DRM_IOCTL_SYNCOBJ_CREATE, &arg)))
		return false;
	*handle = arg.handle;
	return true;
}

static void wait_for_syncobj(struct file *f, uint32_t handle)
{
	struct drm_syncobj_wait arg = {
		.handles = (uintptr_t)&handle, .count_handles = 1,
		.timeout_nsec = (now_us() + HANG_MS * 1000ull) * 1000,
	};
	int err = plain_call(f->fd, DRM_IOCTL_SYNCOBJ_WAIT, &arg);

	if (err)
		wrong("waiting for a syncobj: %s", strerror(-err));
}

static void refuse_syncobjs(struct file *f, uint32_t handle)
{
	struct drm_virtgpu_execbuffer_syncobj sync = { .handle = handle };
	struct job job = new_job(f);
	int error = EINVAL;

	add(&job, CCMD(CCMD_NOP, 0, 0));
	job.arg.syncobj_stride = sizeof(sync);
	job.arg.in_syncobjs = (uintptr_t)&sync;
	job.arg.out_syncobjs = (uintptr_t)&sync;
	switch (rnd(4)) {
	case 0:
		sync.flags = 2u << rnd(30);
		break;
	case 1:
		sync.handle = BAD_HANDLE;
		error = ENOENT;
		break;
	case 2:
		sync.handle = BAD_HANDLE;
		job.arg.num_out_syncobjs = 1;
		break;
	case 3:
		job.arg.in_syncobjs = 8;
		error = EFAULT;
		break;
	}
	job.arg.num_in_syncobjs = !job.arg.num_out_syncobjs;
	refused(submit(&job), error, 0);
}

/* Signalled by one job, waited for and perhaps reset by the next */
static void use_syncobj(struct file *f, uint32_t handle)
{
	struct drm_virtgpu_execbuffer_syncobj sync = {
		.handle = handle, .point = rnd(3)
	};
	struct job first = new_job(f), second = new_job(f);

	add(&first, CCMD(CCMD_NOP, 0, 0));
	add(&second, CCMD(CCMD_NOP, 0, 0));
	first.arg.syncobj_stride = second.arg.syncobj_stride = sizeof(sync);
	first.arg.num_out_syncobjs = second.arg.num_in_syncobjs = 1;
	first.arg.out_syncobjs = (uintptr_t)&sync;
	second.arg.in_syncobjs = (uintptr_t)&sync;
	if (!submitted(&first))
		return;
	if (one_in(2))
		wait_for_syncobj(f, handle);
	if (one_in(2))
		sync.flags = VIRTGPU_EXECBUF_SYNCOBJ_RESET;
	if (submitted(&second) && sync.flags)
		refused(submit(&second), EINVAL, 0);
}

void exec_syncobjs(void)
{
	struct file *f = any_file();
	struct drm_syncobj_destroy destroy = { 0 };

	if (!device.virgl || !new_syncobj(f, &destroy.handle))
		return;
	if (one_in(3))
		refuse_syncobjs(f, destroy.handle);
	else
		use_syncobj(f, destroy.handle);
	must(!plain_call(f->fd, DRM_IOCTL_SYNCOBJ_DESTROY, &destroy));
}

#else

void exec_syncobjs(void)
{
}

#endif

/* The host gives up on such a context, so it is only this file's */
void exec_garbage(void)
{
	struct file f = { .fd = open_again(device.render_path) };
	struct job job = new_job(&f);
	shape_t shape = buffer(4096);

	if (f.fd < 0 && !fine(f.fd))
		return;
	if (!plain_call(f.fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &shape)) {
		struct drm_virtgpu_3d_transfer_to_host beyond = {
			.bo_handle = shape.bo_handle, .offset = rnd(1 << 20),
			.box = { .x = rnd(1 << 20), .w = rnd(1 << 20), .h = 1,
				 .d = 1 },
		};

		fine_or(call(f.fd, DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST, &beyond),
			ENOENT);
		fine_or(call(f.fd, DRM_IOCTL_VIRTGPU_TRANSFER_FROM_HOST,
			     &beyond), ENOENT);
	}
	for (int i = 0; i < JOB_WORDS; i++)
		add(&job, one_in(2) ? rnd(1 << 8) | 2u << 16 : rnd(-1u));
	submitted(&job);
	must(!close(f.fd));
}
