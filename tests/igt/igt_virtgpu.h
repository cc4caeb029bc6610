/* SPDX-License-Identifier: MIT */
/*
 * What the virtio-gpu tests share: BOs of an open DRM file, what the host does
 * with them, and the knobs and counters of the driver's BO cache.
 *
 * Helpers assert that it works.  Those with __ in front of their name return a
 * negative errno instead.
 */
#ifndef IGT_VIRTGPU_H
#define IGT_VIRTGPU_H

#include "igt.h"
#include "virtgpu_drm.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define PAGE 4096

/* What is bound to come is waited for; only a hang takes as long as this */
#define HANG_MS 60000
#define virtgpu_wait_until(cond) igt_assert(igt_wait(cond, HANG_MS, 5))

enum virtgpu_bind {				/* virgl's */
	BIND_RENDER_TARGET = 1 << 1,
	BIND_SAMPLER_VIEW = 1 << 3,
	BIND_VERTEX = 1 << 4,
};

typedef struct drm_virtgpu_resource_create virtgpu_shape;

struct virtgpu_bo {
	int fd;
	uint32_t handle, res;
	uint64_t size;
	uint32_t width, height;
	uint32_t *map;
};

/*
 * DRM files.  Each gets a host context at once: without one nothing that is
 * imported or created dumb is attached to it.
 */
int virtgpu_open(void);
int virtgpu_reopen(int fd);
int virtgpu_param(int fd, uint64_t param);	/* or a negative errno */

/* A subtest is skipped where what it NEEDS is not there ... */
enum virtgpu_needs { NOTHING, CACHE = 1, VIRGL = 2, BLOB = 4 };
void virtgpu_require(int fd, unsigned int needs);
/* ... and begins with a cache that is empty, patient and not backing off */
void virtgpu_begin(int fd, unsigned int needs);
bool virtgpu_has_virgl(int fd);

/* BOs; a plain one can be had on any device */
virtgpu_shape virtgpu_buffer(uint32_t bytes);
virtgpu_shape virtgpu_texture(uint32_t width, uint32_t height, uint32_t bind);
struct virtgpu_bo virtgpu_create(int fd, virtgpu_shape shape);
struct virtgpu_bo virtgpu_create_plain(int fd, uint32_t bytes);
struct virtgpu_bo virtgpu_create_dumb(int fd, uint32_t width, uint32_t height);
struct virtgpu_bo virtgpu_create_blob(int fd, uint64_t bytes);
struct virtgpu_bo virtgpu_import(int fd, int dmabuf);
void virtgpu_close(struct virtgpu_bo *bo);	/* the mapping too */
void virtgpu_share(const struct virtgpu_bo *bo); /* once, with nobody */

/* Their content, in words */
uint64_t virtgpu_offset(const struct virtgpu_bo *bo);
int __virtgpu_mmap(int fd, uint64_t offset, uint64_t size, uint32_t **map);
uint32_t *virtgpu_map(struct virtgpu_bo *bo);
void virtgpu_unmap(struct virtgpu_bo *bo);
void virtgpu_fill(struct virtgpu_bo *bo, uint32_t word);
void virtgpu_assert_full_of(struct virtgpu_bo *bo, uint32_t word);
bool virtgpu_touch_faults(volatile uint32_t *word);

/* The host */
bool virtgpu_busy(const struct virtgpu_bo *bo);
void virtgpu_wait(const struct virtgpu_bo *bo);
int __virtgpu_to_host(const struct virtgpu_bo *bo);	/* these do not wait */
int __virtgpu_from_host(const struct virtgpu_bo *bo);
void virtgpu_to_host(const struct virtgpu_bo *bo);
void virtgpu_from_host(const struct virtgpu_bo *bo);
int __virtgpu_execbuffer(int fd, const uint32_t *words, size_t bytes,
			 const struct virtgpu_bo *bo);
void virtgpu_surface(int fd, uint32_t surface, const struct virtgpu_bo *bo);
void virtgpu_clear(int fd, uint32_t surface, uint8_t gray);
/* What it was told while that was watched, by the driver's trace event */
#define RESOURCE_UNREF 0x102
void virtgpu_watch_commands(bool on);
unsigned int virtgpu_count_commands(unsigned int type);

/* The cache */
int __virtgpu_knob(const char *name, const char *text);
void virtgpu_set_knob(const char *name, uint64_t value);
uint64_t virtgpu_knob(const char *name);
uint64_t virtgpu_stat(const char *name);
uint64_t virtgpu_held_bos(void);
uint64_t virtgpu_held_bytes(void);
bool virtgpu_has_cache(void);
const char *virtgpu_device(void);		/* "virtioN" */
bool virtgpu_is_kept(int fd);			/* frees a BO to see that */
void virtgpu_drop_caches(void);			/* memory pressure */
bool virtgpu_counters_add_up(void);

#endif
