// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the fuzzer does besides, and the table of all it does: a new operation
 * is a function and a row.
 */
#include "fuzz.h"

#include <errno.h>
#include <unistd.h>

static void info(void)
{
	struct drm_virtgpu_resource_info arg = { .bo_handle = BAD_HANDLE };
	struct handle *h = any_handle(has_any);

	refused(call(any_file()->fd, DRM_IOCTL_VIRTGPU_RESOURCE_INFO, &arg),
		ENOENT, 0);
	if (h)
		got_handle(h->file, h->handle, h->object);
}

static void getparam(void)
{
	int value = 0;
	struct drm_virtgpu_getparam arg = {
		.param = 1 + rnd(6), .value = (uintptr_t)&value
	};
	struct file *f = any_file();

	switch (rnd(3)) {
	case 0:
		fine(call(f->fd, DRM_IOCTL_VIRTGPU_GETPARAM, &arg));
		break;
	case 1:
		arg.value = 8;
		refused(call(f->fd, DRM_IOCTL_VIRTGPU_GETPARAM, &arg), EFAULT,
			0);
		break;
	case 2:
		arg.param = 1000 + mix(me.op, 1) / 2;
		refused(call(f->fd, DRM_IOCTL_VIRTGPU_GETPARAM, &arg), EINVAL,
			0);
		break;
	}
}

static void get_caps(void)
{
	static uint8_t caps[65536];
	struct drm_virtgpu_get_caps arg = {
		.cap_set_id = 1 + rnd(2), .cap_set_ver = 1,
		.addr = (uintptr_t)caps, .size = 1 + rnd(sizeof(caps)),
	};
	int error = 0, err;

	if (device.virgl && !(device.capsets & 1u << arg.cap_set_id))
		return;
	switch (rnd(6)) {
	case 0:
		arg.size = 0;
		error = EINVAL;
		break;
	case 1:
		arg.cap_set_id = 100 + rnd(1000);
		error = EINVAL;
		break;
	case 2:
		arg.cap_set_ver = 1000;
		error = EINVAL;
		break;
	case 3:
		arg.addr = 8;
		error = EFAULT;
		break;
	}
	err = call(any_file()->fd, DRM_IOCTL_VIRTGPU_GET_CAPS, &arg);
	if (!device.virgl)
		refused(err, ENOSYS, 0);
	else if (error)
		refused(err, error, 0);
	else
		fine(err);
}

#ifdef DRM_IOCTL_VIRTGPU_CONTEXT_INIT

typedef struct drm_virtgpu_context_set_param context_param_t;

static int break_context(struct drm_virtgpu_context_init *arg,
			 context_param_t *param)
{
	switch (rnd(5)) {
	case 0:
		arg->num_params = 5 + rnd(-6u);
		break;
	case 1:
		arg->ctx_set_params = 8;
		return EFAULT;
	case 2:
		param->param = 1000 + rnd(1000);
		break;
	case 3:
		param->value = 10 + rnd(1000);	/* no such set */
		break;
	case 4:
		param->param = VIRTGPU_CONTEXT_PARAM_NUM_RINGS;
		param->value = 65 + rnd(1000);
		break;
	}
	return EINVAL;
}

static void context_init(void)
{
	context_param_t param = {
		.param = VIRTGPU_CONTEXT_PARAM_CAPSET_ID, .value = 1 + rnd(2),
	};
	struct drm_virtgpu_context_init arg = {
		.num_params = 1, .ctx_set_params = (uintptr_t)&param,
	};
	int fd, error = 0;

	if (device.context_init && !(device.capsets & 1u << param.value))
		return;
	fd = open_again(device.render_path);
	if (fd < 0 && !fine(fd))
		return;
	if (one_in(2))
		error = break_context(&arg, &param);
	if (!device.context_init)
		error = EINVAL;
	if (error)
		refused(call(fd, DRM_IOCTL_VIRTGPU_CONTEXT_INIT, &arg), error,
			0);
	else if (fine(call(fd, DRM_IOCTL_VIRTGPU_CONTEXT_INIT, &arg)))
		refused(call(fd, DRM_IOCTL_VIRTGPU_CONTEXT_INIT, &arg), EEXIST,
			0);
	must(!close(fd));
}

#else

static void context_init(void)
{
}

#endif

static void refuse_ioctl(void)
{
	char arg[256] = { 0 };

	refused(call(any_file()->fd,
		     DRM_IOWR(DRM_COMMAND_BASE + 0x3f - rnd(16), arg), &arg),
		EINVAL, 0);
}

/* Framebuffers, of dumb BOs */

static bool makes_framebuffer(const struct handle *h)
{
	return is_on_card(h) && h->object->kind == DUMB &&
	       h->object->width >= 32 && h->object->height >= 32;
}

static void add_fb(void)
{
	struct handle *h = any_handle(makes_framebuffer);
	struct framebuffer *fb = &one_of(me.framebuffer);
	struct drm_mode_fb_cmd arg = { .bpp = 32, .depth = 24 };

	if (!h || fb->file)
		return;
	arg.handle = h->handle;
	arg.width = h->object->width;
	arg.height = h->object->height;
	arg.pitch = arg.width * 4;
	if (fine(call(h->file->fd, DRM_IOCTL_MODE_ADDFB, &arg)))
		*fb = (struct framebuffer){
			.file = h->file, .id = arg.fb_id, .object = h->object
		};
}

static void refuse_fb(void)
{
	struct drm_mode_fb_cmd arg = {
		.bpp = 32, .depth = 24, .width = 64, .height = 64, .pitch = 256,
		.handle = BAD_HANDLE
	};
	uint32_t *const sizes[] = { &arg.width, &arg.height, &arg.pitch };
	uint32_t id = 0x7fffff00;
	struct file *f = any_card();

	if (!f) {
		refused(call(any_file()->fd, DRM_IOCTL_MODE_ADDFB, &arg),
			EACCES, 0);
		return;
	}
	if (one_in(2))
		*one_of(sizes) = rnd(32);
	refused(call(f->fd, DRM_IOCTL_MODE_ADDFB, &arg), EINVAL, ENOENT);
	refused(call(f->fd, DRM_IOCTL_MODE_RMFB, &id), ENOENT, 0);
}

static void rm_fb(void)
{
	struct framebuffer *fb = &one_of(me.framebuffer);

	if (fb->file)
		drop_framebuffer(fb);
}

const struct operation operations[] = {
	{ "create_buffer", 12, create_buffer },
	{ "create_texture", 7, create_texture },
	{ "create_odd", 2, create_odd },
	{ "create_dumb", 6, create_dumb },
	{ "create_blob", 4, create_blob },
	{ "create_host_blob", 1, create_host_blob },
	{ "refuse_create", 2, refuse_create },
	{ "refuse_blob", 2, refuse_blob },
	{ "burst", 2, burst },
	{ "map", 9, map },
	{ "unmap", 6, unmap_one },
	{ "refuse_map", 3, refuse_map },
	{ "map_stale", 4, map_stale },
	{ "write", 18, write_some },
	{ "check", 12, check_one },
	{ "to_host", 10, to_host },
	{ "from_host", 10, from_host },
	{ "refuse_transfer", 2, refuse_transfer },
	{ "wait", 5, wait_for },
	{ "exec_nop", 4, exec_nop },
	{ "exec_copy", 8, exec_copy },
	{ "exec_clear", 4, exec_clear },
	{ "exec_refused", 3, exec_refused },
	{ "exec_fences", 3, exec_fences },
	{ "exec_syncobjs", 3, exec_syncobjs },
	{ "exec_garbage", 1, exec_garbage },
	{ "close", 20, close_one },
	{ "close_twice", 3, close_twice },
	{ "reopen", 2, reopen },
	{ "open_and_close", 1, open_and_close },
	{ "dontneed", 8, dontneed },
	{ "willneed", 8, willneed },
	{ "use_unneeded", 4, use_unneeded },
	{ "refuse_madvise", 1, refuse_madvise },
	{ "flink", 3, flink },
	{ "refuse_open", 1, refuse_open },
	{ "export", 6, export_one },
	{ "import", 5, import_one },
	{ "refuse_prime", 2, refuse_prime },
	{ "map_dmabuf", 3, map_dmabuf },
	{ "give", 3, give },
	{ "take", 4, take },
	{ "info", 1, info },
	{ "getparam", 1, getparam },
	{ "get_caps", 1, get_caps },
	{ "context_init", 1, context_init },
	{ "refuse_ioctl", 1, refuse_ioctl },
	{ "add_fb", 3, add_fb },
	{ "refuse_fb", 1, refuse_fb },
	{ "rm_fb", 2, rm_fb },
	{ "fork", 1, fork_one },
	{ "race_to_close", 1, race_to_close },
	{ "race_to_export", 1, race_to_export },
};

const size_t nr_operations = ARRAY_SIZE(operations);
