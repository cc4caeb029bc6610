/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What differs between the kernels that are supported: later names in terms of
 * earlier ones.  Not part of what goes upstream.
 */
#ifndef VIRTGPU_COMPAT_H
#define VIRTGPU_COMPAT_H

#include <linux/dma-resv.h>
#include <linux/list_lru.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/version.h>

#include <drm/drm_gem_shmem_helper.h>

/* 7.0 */
#ifndef kzalloc_obj
#define kzalloc_obj(obj) kzalloc(sizeof(obj), GFP_KERNEL)
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

#define shrinker_private(shrinker) \
	(container_of(shrinker, struct virtgpu_shrinker, base)->private_data)

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
	kfree(container_of(shrinker, struct virtgpu_shrinker, base));
}

static inline int virtgpu_shrinker_register(struct shrinker *shrinker)
{
	return register_shrinker(shrinker, "%s",
				 container_of(shrinker, struct virtgpu_shrinker,
					      base)->name);
}
#else
#define shrinker_private(shrinker) ((shrinker)->private_data)

static inline int virtgpu_shrinker_register(struct shrinker *shrinker)
{
	shrinker_register(shrinker);
	return 0;
}
#endif

/* 6.2: the object's reservation is what locks its pages; 6.16: the name */
static inline void virtgpu_shmem_try_purge(struct drm_gem_shmem_object *shmem)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
	drm_gem_shmem_purge(shmem);
#else
	if (!dma_resv_trylock(shmem->base.resv))
		return;
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
	drm_gem_shmem_purge(shmem);
#else
	drm_gem_shmem_purge_locked(shmem);
#endif
	dma_resv_unlock(shmem->base.resv);
#endif
}

#endif
