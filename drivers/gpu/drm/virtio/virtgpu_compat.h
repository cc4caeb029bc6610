/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What earlier kernels lack: later names in terms of theirs.  They are built with
 * -include of this, see Makefile.add; where names don't suffice, the rules for our
 * own files help (virtgpu_bo_cache_reclaim.cocci and others).  The latest kernel has
 * neither, and so has what goes upstream.
 */
#ifndef VIRTGPU_COMPAT_H
#define VIRTGPU_COMPAT_H

#include <linux/list_lru.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/version.h>

#include <drm/drm_gem_shmem_helper.h>

/* 7.0 */
#ifndef kzalloc_obj
#define kzalloc_obj(obj) kzalloc(sizeof(obj), GFP_KERNEL)
#endif

/* 6.16: what wants the object's reservation locked says so in its name */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
#define drm_gem_shmem_put_pages_locked drm_gem_shmem_put_pages
#define drm_gem_shmem_purge_locked drm_gem_shmem_purge
#endif

/* 6.8: the shorter name is another function now */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
#define list_lru_add_obj list_lru_add
#define list_lru_del_obj list_lru_del
#endif

/*
 * 6.7: shrinkers are allocated and have a member for their user; registration
 * cannot fail
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
/**
 * struct virtgpu_shrinker - what a shrinker became later
 * @base: what it is now
 * @private_data: its user's
 * @name: its name, with the one number that may be in it
 */
struct virtgpu_shrinker {
	struct shrinker base;
	void *private_data;
	char name[32];
};

static inline struct virtgpu_shrinker *
to_virtgpu_shrinker(struct shrinker *shrinker)
{
	return container_of(shrinker, struct virtgpu_shrinker, base);
}

static inline struct shrinker *
shrinker_alloc(unsigned int flags, const char *fmt, unsigned int number)
{
	struct virtgpu_shrinker *shrinker = kzalloc_obj(*shrinker);

	if (!shrinker)
		return NULL;
	shrinker->base.flags = flags;
	snprintf(shrinker->name, sizeof(shrinker->name), fmt, number);
	return &shrinker->base;
}

static inline void shrinker_free(struct shrinker *shrinker)
{
	if (!shrinker)
		return;
	unregister_shrinker(shrinker);
	kfree(to_virtgpu_shrinker(shrinker));
}

/* If it fails the shrinker is gone. */
static inline int virtgpu_shrinker_register(struct shrinker *shrinker)
{
	struct virtgpu_shrinker *ours = to_virtgpu_shrinker(shrinker);
	int ret = register_shrinker(shrinker, "%s", ours->name);

	if (ret)
		kfree(ours);
	return ret;
}
#endif

#endif
