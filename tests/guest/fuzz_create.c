// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The fuzzer makes BOs, of all kinds and sizes, or asks for what it can't get.
 */
#include "fuzz.h"

#include <errno.h>
#include <unistd.h>

enum { BIND_CONSTANT = 1 << 6, BIND_STAGING = 1 << 19 };

/* Mostly small, some large, not always whole pages */
uint32_t any_bytes(void)
{
	uint32_t bytes = 4096u << rnd(one_in(12) ? 8 : 5);

	if (one_in(2))
		bytes += 4 * rnd(bytes / 4);
	return bytes;
}

static void create(struct file *f, shape_t shape, struct object like)
{
	uint64_t asked = shape.size ? shape.size : 4096;

	make_room();
	if (!fine(call(f->fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &shape)))
		return;
	like.bind = shape.bind;
	like.format = shape.format;
	born(f, shape.bo_handle, shape.res_handle, asked, like);
}

/* What is CUSTOM, the host copies to and from guest pages by itself */
void create_buffer(void)
{
	static const uint32_t binds[] = {
		BIND_VERTEX, BIND_VERTEX, BIND_VERTEX, BIND_INDEX,
		BIND_CONSTANT, BIND_CUSTOM
	};
	shape_t shape = buffer(any_bytes());

	shape.bind = one_of(binds);
	if (one_in(16)) {
		shape.size = 0;			/* that means a page */
		shape.width = 4096;
	}
	if (device.virgl)
		create(any_file(), shape, (struct object){
			.kind = BUFFER, .width = shape.width / 4, .height = 1,
			.loose = shape.bind == BIND_CUSTOM,
		});
	else
		refused(call(any_file()->fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE,
			     &shape), EINVAL, 0);
}

void create_texture(void)
{
	static const uint32_t sides[] = { 16, 17, 32, 64, 96, 128, 200 };
	static const uint32_t binds[] = {
		BIND_RENDER_TARGET | BIND_SAMPLER_VIEW, BIND_SAMPLER_VIEW,
		BIND_RENDER_TARGET | BIND_SCANOUT,
	};
	shape_t shape = texture(one_of(sides), one_of(sides), one_of(binds));

	if (device.virgl && one_in(3))
		shape.format = FORMAT_RGBA8;
	if (one_in(8))
		shape.size += rnd(16384);
	create(any_file(), shape, (struct object){
		.kind = TEXTURE, .width = shape.width, .height = shape.height
	});
}

/* The kernel takes these; whether the host does, only it knows */
void create_odd(void)
{
	shape_t shape = texture(1 + rnd(64), 1 + rnd(64), rnd(1 << 10));

	switch (rnd(device.virgl ? 6 : 1)) {
	case 0:
		shape.format = 1000 + rnd(1000);
		break;
	case 1:
		shape.target = rnd(20);
		break;
	case 2:
		shape.depth = rnd(4);
		shape.array_size = rnd(4);
		break;
	case 3:
		shape.last_level = rnd(8);
		shape.nr_samples = rnd(4);
		break;
	case 4:
		shape.flags = rnd(8);
		break;
	case 5:
		shape = buffer(any_bytes());
		shape.bind = BIND_STAGING;
		break;
	}
	shape.size = any_bytes();
	create(any_file(), shape, (struct object){ .kind = ODD });
}

void create_dumb(void)
{
	struct drm_mode_create_dumb arg = {
		.width = 16 + rnd(200), .height = 16 + rnd(200), .bpp = 32
	};
	struct file *f = any_card();

	make_room();
	if (!f) {
		refused(call(any_file()->fd, DRM_IOCTL_MODE_CREATE_DUMB, &arg),
			EACCES, 0);
		return;
	}
	if (!fine(call(f->fd, DRM_IOCTL_MODE_CREATE_DUMB, &arg)))
		return;
	if (arg.pitch != arg.width * 4)
		wrong("width %u, pitch %u", arg.width, arg.pitch);
	born(f, arg.handle, 0, arg.size, (struct object){
		.kind = DUMB, .width = arg.width, .height = arg.height
	});
}

void refuse_create(void)
{
	static const struct drm_mode_create_dumb dumbs[] = {
		{ .width = 64, .height = 64, .bpp = 16 },
		{ .width = 0, .height = 64, .bpp = 32 },
		{ .width = 64, .height = 0, .bpp = 32 },
		{ .width = 65536, .height = 65536, .bpp = 32 },
		{ .width = UINT32_MAX, .height = 2, .bpp = 32 },
		{ .width = 64, .height = 64, .bpp = UINT32_MAX },
	};
	struct drm_mode_create_dumb dumb = one_of(dumbs);
	shape_t shape = texture(16, 16, 0);
	uint32_t *const not_in_2d[] = {
		&shape.target, &shape.depth, &shape.array_size,
		&shape.last_level, &shape.nr_samples,
	};
	struct file *f = any_file();

	if (device.virgl || one_in(2)) {
		refused(call(f->fd, DRM_IOCTL_MODE_CREATE_DUMB, &dumb),
			f->card ? EINVAL : EACCES, 0);
		return;
	}
	*one_of(not_in_2d) = 3 + rnd(100);
	refused(call(f->fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &shape), EINVAL,
		0);
}

#ifdef DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB

typedef struct drm_virtgpu_resource_create_blob blob_t;

void create_blob(void)
{
	blob_t arg = {
		.blob_mem = VIRTGPU_BLOB_MEM_GUEST,
		.blob_flags = VIRTGPU_BLOB_FLAG_USE_MAPPABLE |
			      (rnd(2) ? VIRTGPU_BLOB_FLAG_USE_SHAREABLE : 0),
		.size = any_bytes(),
	};
	struct file *f = any_file();

	make_room();
	if (!device.blob) {
		refused(call(f->fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB,
			     &arg), EINVAL, 0);
		return;
	}
	if (!fine(call(f->fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB, &arg)))
		return;
	born(f, arg.bo_handle, arg.res_handle, arg.size,
	     (struct object){ .kind = BLOB });
}

void refuse_blob(void)
{
	blob_t arg = {
		.blob_mem = VIRTGPU_BLOB_MEM_GUEST,
		.blob_flags = VIRTGPU_BLOB_FLAG_USE_MAPPABLE,
		.size = 4096,
	};

	switch (rnd(5)) {
	case 0:
		arg.blob_mem = one_in(2) ? 0 : 4 + rnd(-5u);
		break;
	case 1:
		arg.blob_flags = 8u << rnd(29);
		break;
	case 2:
		arg.blob_id = 1 + rnd(1000);
		break;
	case 3:
		arg.cmd_size = 1 + rnd(1000);
		break;
	case 4:
		arg.blob_mem = VIRTGPU_BLOB_MEM_HOST3D;
		arg.cmd_size = 1 + 4 * rnd(100);
		break;
	}
	refused(call(any_file()->fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB,
		     &arg), EINVAL, 0);
}

/* The host knows nothing of it and says so; in a context of its own */
void create_host_blob(void)
{
	blob_t arg = {
		.blob_mem = VIRTGPU_BLOB_MEM_HOST3D,
		.blob_flags = VIRTGPU_BLOB_FLAG_USE_SHAREABLE,
		.blob_id = 1 + rnd(1000), .size = 4096,
	};
	int fd = open_again(device.render_path), err;

	if (fd < 0 && !fine(fd))
		return;
	err = call(fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB, &arg);
	if (device.blob)
		/* without host-visible memory, there are none */
		fine_or(err == -EINVAL ? 0 : err, 0);
	else
		refused(err, EINVAL, 0);
	must(!close(fd));
}

#else

void create_blob(void)
{
}

void refuse_blob(void)
{
}

void create_host_blob(void)
{
}

#endif

/* Far more than the model has: the cache fills up, and hands out */
void burst(void)
{
	struct bo bo[24];
	struct file *f = any_file();
	uint32_t bytes = any_bytes() & ~4095u, n = 0;
	shape_t shape = device.virgl ? buffer(bytes) :
				       texture(32, bytes / 128, 0);

	while (n < ARRAY_SIZE(bo) && !one_in(24)) {
		shape_t arg = shape;

		if (!fine(call(f->fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &arg)))
			break;
		bo[n] = (struct bo){
			.fd = f->fd, .handle = arg.bo_handle, .size = bytes
		};
		if (one_in(2)) {
			bo_map(&bo[n]);
			assert_zero(bo[n].map, bytes / 4, "a new BO");
			for (size_t i = 0; i < bytes / 4; i++)
				bo[n].map[i] = tagged(f->owner, n, i);
		}
		n++;
	}
	for (uint32_t i = 0; i < n; i++)
		bo_close(&bo[i]);
}
