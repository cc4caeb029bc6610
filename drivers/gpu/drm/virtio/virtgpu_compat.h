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

/* 6.2: the object's reservation is what locks its pages */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
static inline void virtgpu_shmem_lock(struct drm_gem_shmem_object *shmem)
{
	mutex_lock(&shmem->pages_lock);
}

static inline void virtgpu_shmem_unlock(struct drm_gem_shmem_object *shmem)
{
	mutex_unlock(&shmem->pages_lock);
}

static inline void virtgpu_shmem_put_pages(struct drm_gem_shmem_object *shmem)
{
	drm_gem_shmem_put_pages(shmem);
}

static inline void virtgpu_shmem_try_purge(struct drm_gem_shmem_object *shmem)
{
	drm_gem_shmem_purge(shmem);
}
#else
/* 6.16: what wants that lock says so in its name */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
#define drm_gem_shmem_put_pages_locked drm_gem_shmem_put_pages
#define drm_gem_shmem_purge_locked drm_gem_shmem_purge
#endif

static inline void virtgpu_shmem_lock(struct drm_gem_shmem_object *shmem)
{
	dma_resv_lock(shmem->base.resv, NULL);
}

static inline void virtgpu_shmem_unlock(struct drm_gem_shmem_object *shmem)
{
	dma_resv_unlock(shmem->base.resv);
}

static inline void virtgpu_shmem_put_pages(struct drm_gem_shmem_object *shmem)
{
	virtgpu_shmem_lock(shmem);
	drm_gem_shmem_put_pages_locked(shmem);
	virtgpu_shmem_unlock(shmem);
}

static inline void virtgpu_shmem_try_purge(struct drm_gem_shmem_object *shmem)
{
	if (!dma_resv_trylock(shmem->base.resv))
		return;
	drm_gem_shmem_purge_locked(shmem);
	dma_resv_unlock(shmem->base.resv);
}
#endif

/* 6.16: counts of users are a refcount_t, and pins are told from mappings */
static inline bool
virtgpu_shmem_is_pinned(const struct drm_gem_shmem_object *shmem)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
	return shmem->vmap_use_count || shmem->pages_use_count > 1;
#else
	return refcount_read(&shmem->vmap_use_count) ||
	       refcount_read(&shmem->pages_pin_count);
#endif
}

/* 6.14: a BO knows whether the host has its backing */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 14, 0)
#define virtgpu_bo_not_attached(bo) ((void)(bo))
#else
#define virtgpu_bo_not_attached(bo) ((bo)->attached = false)
#endif

#endif
