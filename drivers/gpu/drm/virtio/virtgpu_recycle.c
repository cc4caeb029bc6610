// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The driver's side of the BO cache: when a BO may be kept, what its identity
 * is, and what the host must be told.  The rest of the driver calls it by one
 * line a place.
 *
 * The life of a BO that can be recycled:
 *
 *	create		virtio_gpu_recycle_create(): from the resource tier, or
 *			virtio_gpu_object_create() and in it
 *			virtio_gpu_recycle_alloc(): from the pages tier
 *	handle opened	virtio_gpu_recycle_open(): attached already?
 *	handle closed	virtio_gpu_recycle_close(): withhold CTX_DETACH?
 *	last reference	virtio_gpu_recycle_free(): into the resource tier, else
 *			RESOURCE_UNREF
 *	host answered	virtio_gpu_recycle_released(): into the pages tier, else
 *			virtio_gpu_cleanup_object()
 *
 * Reclaim calls nothing here but what frees pages.  What the dequeue worker calls
 * (the last of the above, and virtio_gpu_recycle_host_error()) sends no command:
 * that worker alone makes room in the ring.  It and those of the cache have
 * rescuers, and commands come from a mempool, so memory is given back when there
 * is none left for that.
 */

#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/highmem.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>
#include <linux/uaccess.h>
#include <linux/virtio.h>
#include <linux/wait.h>

#include <drm/drm_file.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>

#include "virtgpu_bo_cache_trace.h"
#include "virtgpu_drv.h"
#include "virtgpu_recycle.h"

/* The bind and target that the virgl protocol calls so. */
#define VIRGL_BIND_CUSTOM BIT(17)
#define PIPE_BUFFER 0

/*
 * Commands that can be had without any memory: more than the cache has with the
 * host at a time.
 */
#define VBUFS_MIN 64

/* How long to wait for the ring before trying again, milliseconds. */
#define ADD_RETRY_MS 10

/* The default limit: this part of RAM ... */
#define DEFAULT_RAM_SHIFT 4
/* ... and no more than two sets of three 4K buffers with a little to spare. */
#define DEFAULT_MAX_BYTES (256ULL << 20)

static bool bo_cache_enabled = true;
module_param(bo_cache_enabled, bool, 0644);
MODULE_PARM_DESC(bo_cache_enabled,
		 "Keep freed BOs for reuse, for devices to come (default: Y)");

static unsigned int bo_cache_timeout_ms = 1000;
module_param(bo_cache_timeout_ms, uint, 0644);
MODULE_PARM_DESC(bo_cache_timeout_ms,
		 "How long they are kept, for devices to come, 0 to 60000 (default: 1000)");

static unsigned long long bo_cache_max_bytes;
module_param(bo_cache_max_bytes, ullong, 0644);
MODULE_PARM_DESC(bo_cache_max_bytes,
		 "How much is kept, for devices to come (default: 0, that is 1/16 of RAM, at most 256 MiB)");

static struct virtgpu_bo_cache *to_cache(struct virtio_gpu_device *vgdev)
{
	return &vgdev->recycle.cache;
}

static struct virtio_gpu_object *entry_to_bo(struct virtgpu_bo_entry *entry)
{
	return container_of(entry, struct virtio_gpu_object, recycle.entry);
}

static struct virtio_gpu_device *bo_to_vgdev(struct virtio_gpu_object *bo)
{
	return bo->base.base.dev->dev_private;
}

/*
 * Device
 */

static bool virtio_gpu_recycle_is_dropping(const struct virtio_gpu_object *bo)
{
	return READ_ONCE(bo->recycle.need) == VIRTIO_GPU_NEED_DROPPING;
}

static bool virtio_gpu_recycle_op_claim(struct virtgpu_bo_entry *entry)
{
	return virtio_gpu_madvise_claim(entry_to_bo(entry));
}

/* The host has let go of a BO that the cache released. */
static void virtio_gpu_recycle_free_pages(struct virtio_gpu_object *bo)
{
	if (virtio_gpu_recycle_is_dropping(bo))
		virtio_gpu_madvise_drop(bo);
	else
		virtio_gpu_cleanup_object(bo);
}

static void virtio_gpu_recycle_op_release(struct virtgpu_bo_cache *cache,
					  struct virtgpu_bo_entry *entry,
					  enum virtgpu_bo_tier tier)
{
	struct virtio_gpu_object *bo = entry_to_bo(entry);

	if (tier == VIRTGPU_BO_TIER_PAGES)
		virtio_gpu_recycle_free_pages(bo);
	else if (virtio_gpu_recycle_is_dropping(bo))
		virtio_gpu_madvise_release(bo);
	else
		virtio_gpu_cmd_unref_resource(bo_to_vgdev(bo), bo);
}

static void virtio_gpu_recycle_op_flush(struct virtgpu_bo_cache *cache)
{
	virtio_gpu_notify(container_of(cache, struct virtio_gpu_device,
				       recycle.cache));
}

/* Nobody else refers to the BO, so its lock is free unless someone probes it. */
static void virtio_gpu_recycle_op_drop(struct virtgpu_bo_entry *entry)
{
	struct drm_gem_shmem_object *shmem = &entry_to_bo(entry)->base;

	shmem->madv = 1;
	if (!drm_gem_shmem_is_purgeable(shmem) ||
	    !dma_resv_trylock(shmem->base.resv))
		return;
	drm_gem_shmem_purge_locked(shmem);
	dma_resv_unlock(shmem->base.resv);
}

static void virtio_gpu_recycle_op_zero(struct virtgpu_bo_entry *entry)
{
	struct virtio_gpu_object *bo = entry_to_bo(entry);
	struct drm_gem_shmem_object *shmem = &bo->base;
	unsigned long i, pages = shmem->base.size >> PAGE_SHIFT;

	for (i = 0; i < pages; i++) {
		clear_highpage(shmem->pages[i]);
		cond_resched();
	}
	/* Where DMA goes through bounce buffers, those have the old content. */
	dma_sync_sgtable_for_device(shmem->base.dev->dev, shmem->sgt,
				    DMA_BIDIRECTIONAL);
}

static const struct virtgpu_bo_cache_ops virtio_gpu_recycle_ops = {
	.claim = virtio_gpu_recycle_op_claim,
	.release = virtio_gpu_recycle_op_release,
	.flush = virtio_gpu_recycle_op_flush,
	.drop = virtio_gpu_recycle_op_drop,
	.zero = virtio_gpu_recycle_op_zero,
};

static void virtio_gpu_recycle_fini(struct drm_device *dev, void *data)
{
	struct virtio_gpu_recycle *recycle = data;

	virtgpu_bo_cache_fini(&recycle->cache);
	xa_destroy(&recycle->refused);
}

static u64 virtio_gpu_recycle_default_limit(void)
{
	u64 ram = (u64)totalram_pages() << PAGE_SHIFT;

	return min_t(u64, ram >> DEFAULT_RAM_SHIFT, DEFAULT_MAX_BYTES);
}

/**
 * virtio_gpu_recycle_init - set up recycling for a device
 * @vgdev: the device, before its first BO
 *
 * It can't fail: without memory the device does without.
 */
void virtio_gpu_recycle_init(struct virtio_gpu_device *vgdev)
{
	struct virtio_gpu_recycle *recycle = &vgdev->recycle;
	struct virtgpu_bo_cache *cache = &recycle->cache;

	spin_lock_init(&recycle->state_lock);
	INIT_LIST_HEAD(&recycle->orphans);
	mutex_init(&recycle->remake_lock);
	xa_init(&recycle->refused);
	if (virtgpu_bo_cache_init(cache, &virtio_gpu_recycle_ops,
				  vgdev->vdev->index) ||
	    drmm_add_action_or_reset(vgdev->ddev, virtio_gpu_recycle_fini,
				     recycle)) {
		drm_warn(vgdev->ddev, "no memory for the BO cache\n");
		cache->dead = true;
		return;
	}

	virtgpu_bo_cache_set_limit(cache, bo_cache_max_bytes ?:
				   virtio_gpu_recycle_default_limit());
	virtgpu_bo_cache_set_timeout(cache,
				     min_t(u32, bo_cache_timeout_ms,
					   VIRTGPU_BO_TIMEOUT_MAX_MS));
	virtgpu_bo_cache_set_enabled(cache, bo_cache_enabled);
}

/**
 * virtio_gpu_recycle_unregister - stop recycling and give everything back
 * @vgdev: the device, while the host can still be told
 */
void virtio_gpu_recycle_unregister(struct virtio_gpu_device *vgdev)
{
	if (!virtgpu_bo_cache_kill(to_cache(vgdev)))
		drm_warn(vgdev->ddev, "the host did not answer, giving up\n");
}

/**
 * virtio_gpu_recycle_deinit - let go of what the host has not answered for
 * @vgdev: the device, unplugged: its commands fail at once
 */
void virtio_gpu_recycle_deinit(struct virtio_gpu_device *vgdev)
{
	virtgpu_bo_cache_abandon(to_cache(vgdev));
}

/*
 * DRM file
 */

/**
 * virtio_gpu_recycle_file_open - make a file an owner of BOs
 * @vfpriv: the file
 */
void virtio_gpu_recycle_file_open(struct virtio_gpu_fpriv *vfpriv)
{
	vfpriv->bo_owner = virtgpu_bo_owner_new(vfpriv->ctx_id);
}

/**
 * virtio_gpu_recycle_file_close - give up what a file alone could have reused
 * @vgdev: the device
 * @vfpriv: the file, its handles closed, its context alive
 */
void virtio_gpu_recycle_file_close(struct virtio_gpu_device *vgdev,
				   struct virtio_gpu_fpriv *vfpriv)
{
	if (!vfpriv->bo_owner)
		return;
	virtgpu_bo_cache_close_owner(to_cache(vgdev), vfpriv->bo_owner);
	virtgpu_bo_owner_put(vfpriv->bo_owner);
}

/*
 * Handle
 */

/* What was withheld when its owner closed it, others must not profit from. */
static void virtio_gpu_recycle_detach(struct virtio_gpu_object *bo)
{
	struct virtio_gpu_device *vgdev = bo_to_vgdev(bo);
	struct virtgpu_bo_owner *owner = bo->recycle.entry.owner;
	struct virtio_gpu_object_array *objs;

	if (READ_ONCE(owner->closed))
		return;
	objs = virtio_gpu_array_alloc(1);
	if (!objs)
		return;
	virtio_gpu_array_add_obj(objs, &bo->base.base);
	virtio_gpu_cmd_context_detach_resource(vgdev, owner->ctx_id, objs);
	virtio_gpu_notify(vgdev);
}

/**
 * virtio_gpu_recycle_may_open - a BO shall get a handle
 * @obj: the BO
 *
 * Returns: 0, or -EINVAL when its client does not need it.
 */
int virtio_gpu_recycle_may_open(struct drm_gem_object *obj)
{
	return virtio_gpu_madvise_needed(gem_to_virtio_gpu_obj(obj)) ? 0 :
	       -EINVAL;
}

/**
 * virtio_gpu_recycle_open - a BO gets a handle
 * @obj: the BO
 *
 * Returns: true if the host has it attached to the file's context already.
 */
bool virtio_gpu_recycle_open(struct drm_gem_object *obj)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);
	struct virtio_gpu_recycle_bo *state = &bo->recycle;
	struct virtio_gpu_recycle *recycle = &bo_to_vgdev(bo)->recycle;
	bool first, withheld;

	spin_lock(&recycle->state_lock);
	first = !state->opened;
	withheld = state->withheld;
	state->opened = true;
	state->lone = false;
	state->withheld = false;
	if (!first)
		state->shared = true;
	spin_unlock(&recycle->state_lock);

	if (withheld && !first)
		virtio_gpu_recycle_detach(bo);
	return withheld && first;
}

/**
 * virtio_gpu_recycle_attached - CTX_ATTACH was sent for a BO
 * @obj: the BO
 */
void virtio_gpu_recycle_attached(struct drm_gem_object *obj)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);
	struct virtio_gpu_recycle *recycle = &bo_to_vgdev(bo)->recycle;

	spin_lock(&recycle->state_lock);
	bo->recycle.attached = true;
	spin_unlock(&recycle->state_lock);
}

/**
 * virtio_gpu_recycle_close - a handle of a BO is closed
 * @obj: the BO
 * @file: whose handle
 *
 * Returns: true if no CTX_DETACH shall be sent: the BO stays attached to the file's
 * context, or the host has let go of it, or soon will and then detaches it too.
 */
bool virtio_gpu_recycle_close(struct drm_gem_object *obj, struct drm_file *file)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);
	struct virtio_gpu_recycle_bo *state = &bo->recycle;
	struct virtio_gpu_device *vgdev = bo_to_vgdev(bo);
	struct virtio_gpu_fpriv *vfpriv = file->driver_priv;
	bool active = virtgpu_bo_cache_active(to_cache(vgdev)), own, stays;

	/* Who frees it may be a worker. */
	if (active && state->entry.group)
		virtgpu_bo_group_wake(state->entry.group);

	spin_lock(&vgdev->recycle.state_lock);
	/* An flink name goes with the last handle, but not before this. */
	if (READ_ONCE(obj->name))
		state->shared = true;
	own = state->entry.owner && state->entry.owner == vfpriv->bo_owner;
	state->lone = active && own && !state->shared;
	/* A file may have no context, and then it was never attached. */
	state->withheld = state->lone && state->attached;
	stays = state->withheld || !virtio_gpu_madvise_needed(bo);
	if (!stays)
		state->detached = true;
	spin_unlock(&vgdev->recycle.state_lock);
	return stays;
}

/**
 * virtio_gpu_recycle_share - a BO is exported
 * @obj: the BO
 *
 * Returns: 0, or -EINVAL when its client does not need it.
 */
int virtio_gpu_recycle_share(struct drm_gem_object *obj)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);
	struct virtio_gpu_recycle *recycle = &bo_to_vgdev(bo)->recycle;
	bool withheld;

	spin_lock(&recycle->state_lock);
	if (!virtio_gpu_madvise_needed(bo)) {
		spin_unlock(&recycle->state_lock);
		return -EINVAL;
	}
	withheld = bo->recycle.withheld;
	bo->recycle.lone = false;
	bo->recycle.withheld = false;
	bo->recycle.shared = true;
	spin_unlock(&recycle->state_lock);

	/* Another thread may have closed its handle in between. */
	if (withheld)
		virtio_gpu_recycle_detach(bo);
	return 0;
}

/*
 * Content: a BO that was neither mapped nor written to by the host need not be
 * zeroed again.  The host writes when a context tells it to, in a command stream
 * that names any resource attached to it, so every stream counts for every BO.
 */

/**
 * virtio_gpu_recycle_mmap - user space maps a BO
 * @obj: the BO
 * @vma: where
 *
 * Returns: 0 or a negative error code.
 */
int virtio_gpu_recycle_mmap(struct drm_gem_object *obj,
			    struct vm_area_struct *vma)
{
	gem_to_virtio_gpu_obj(obj)->recycle.mapped = true;
	return virtio_gpu_madvise_mmap(obj, vma);
}

/**
 * virtio_gpu_recycle_vmap - the kernel maps a BO
 * @obj: the BO
 * @map: where
 *
 * Returns: 0 or a negative error code.
 */
int virtio_gpu_recycle_vmap(struct drm_gem_object *obj, struct iosys_map *map)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);

	if (!virtio_gpu_madvise_needed(bo))
		return -EINVAL;
	bo->recycle.mapped = true;
	return drm_gem_shmem_object_vmap(obj, map);
}

/**
 * virtio_gpu_recycle_host_writes - the host gets a command that may write
 * @vgdev: the device
 */
void virtio_gpu_recycle_host_writes(struct virtio_gpu_device *vgdev)
{
	atomic64_inc(&vgdev->recycle.host_writes);
}

static void virtio_gpu_recycle_mark_zero(struct virtio_gpu_object *bo)
{
	struct virtio_gpu_recycle *recycle = &bo_to_vgdev(bo)->recycle;

	bo->recycle.mapped = false;
	bo->recycle.host_writes = atomic64_read(&recycle->host_writes);
}

static bool virtio_gpu_recycle_is_zero(struct virtio_gpu_object *bo)
{
	struct virtio_gpu_recycle *recycle = &bo_to_vgdev(bo)->recycle;

	return !bo->recycle.mapped &&
	       bo->recycle.host_writes == atomic64_read(&recycle->host_writes);
}

/*
 * BO
 */

static void
virtio_gpu_recycle_identify(const struct virtio_gpu_object_params *params,
			    struct virtgpu_bo_ident *ident)
{
	if (params->blob) {
		*ident = (struct virtgpu_bo_ident) {
			.kind = VIRTGPU_BO_KIND_BLOB,
			.target = params->blob_mem,
			.flags = params->blob_flags,
		};
		return;
	}
	*ident = (struct virtgpu_bo_ident) {
		.kind = VIRTGPU_BO_KIND_2D,
		.format = params->format,
		.target = params->target,
		.bind = params->bind,
		.width = params->width,
		.height = params->height,
		.depth = params->depth,
		.array_size = params->array_size,
		.last_level = params->last_level,
		.nr_samples = params->nr_samples,
		.flags = params->flags,
	};
	if (params->virgl)
		ident->kind = params->target == PIPE_BUFFER ?
			      VIRTGPU_BO_KIND_BUFFER : VIRTGPU_BO_KIND_3D;
}

/**
 * virtio_gpu_recycle_params - what a BO was created with
 * @bo: the BO
 * @params: where that goes, all but the context of a blob
 */
void virtio_gpu_recycle_params(struct virtio_gpu_object *bo,
			       struct virtio_gpu_object_params *params)
{
	const struct virtgpu_bo_ident *ident = &bo->recycle.entry.ident;

	*params = (struct virtio_gpu_object_params) {
		.size = bo->base.base.size,
		.dumb = bo->dumb,
	};
	if (ident->kind == VIRTGPU_BO_KIND_BLOB) {
		params->blob = true;
		params->blob_mem = ident->target;
		params->blob_flags = ident->flags;
		return;
	}
	params->virgl = ident->kind != VIRTGPU_BO_KIND_2D;
	params->format = ident->format;
	params->target = ident->target;
	params->bind = ident->bind;
	params->width = ident->width;
	params->height = ident->height;
	params->depth = ident->depth;
	params->array_size = ident->array_size;
	params->last_level = ident->last_level;
	params->nr_samples = ident->nr_samples;
	params->flags = ident->flags;
}

static bool virtio_gpu_recycle_is_reusable(const struct virtgpu_bo_ident *ident)
{
	return ident->kind != VIRTGPU_BO_KIND_BLOB &&
	       !(ident->bind & VIRGL_BIND_CUSTOM);
}

static bool
virtio_gpu_recycle_reuse(struct virtio_gpu_device *vgdev,
			 struct virtgpu_bo_want *want,
			 struct virtio_gpu_object **bo_ptr)
{
	struct virtgpu_bo_entry *entry;
	struct virtio_gpu_object *bo;

	if (!want->owner || !want->group ||
	    !virtgpu_bo_cache_active(to_cache(vgdev)))
		return false;
	entry = virtgpu_bo_cache_take_resource(to_cache(vgdev), want->owner,
					       want->group, &want->ident,
					       want->size);
	if (!entry)
		return false;
	want->served = VIRTGPU_BO_TIER_RESOURCE;
	bo = entry_to_bo(entry);
	/*
	 * Nobody else can refer to it: no handle, no mapping, no name, no
	 * dma-buf and no fence were left when it was put.  If it is still
	 * attached to the owner's context, virtio_gpu_recycle_open() will tell.
	 */
	bo->recycle.opened = false;
	bo->recycle.detached = false;
	virtio_gpu_recycle_mark_zero(bo);
	kref_init(&bo->base.base.refcount);
	*bo_ptr = bo;
	return true;
}

/**
 * virtio_gpu_recycle_make_room - give all back because an allocation failed
 * @vgdev: the device
 * @memcg: of what is charged to this cgroup, or of all if NULL
 *
 * Returns: whether it is worth trying again.
 */
bool virtio_gpu_recycle_make_room(struct virtio_gpu_device *vgdev,
				  const struct mem_cgroup *memcg)
{
	struct virtgpu_bo_cache *cache = to_cache(vgdev);

	if (virtgpu_bo_cache_idle(cache))
		return false;
	virtgpu_bo_cache_evict(cache, VIRTGPU_BO_EVICT_ALL, memcg,
			       VIRTGPU_BO_EVICT_ALLOC);
	return virtgpu_bo_cache_flush(cache) != -ERESTARTSYS;
}

static int
virtio_gpu_recycle_create_new(struct virtio_gpu_device *vgdev,
			      struct virtio_gpu_object_params *params,
			      struct virtio_gpu_object **bo_ptr, bool fenced)
{
	struct virtio_gpu_fence *fence;
	int ret;

	if (!fenced)
		return virtio_gpu_object_create(vgdev, params, bo_ptr, NULL);

	fence = virtio_gpu_fence_alloc(vgdev, vgdev->fence_drv.context, 0);
	if (!fence)
		return -ENOMEM;
	ret = virtio_gpu_object_create(vgdev, params, bo_ptr, fence);
	dma_fence_put(&fence->f);
	return ret;
}

/*
 * When memory is short the cache gives up what it holds before anyone hears of
 * it: first what is charged to the same cgroup, then all if the cgroup's limit is
 * not the reason.
 */
static int
virtio_gpu_recycle_create_hard(struct virtio_gpu_device *vgdev,
			       struct virtio_gpu_object_params *params,
			       struct virtio_gpu_object **bo_ptr, bool fenced)
{
	struct mem_cgroup *memcg;
	int ret;

	ret = virtio_gpu_recycle_create_new(vgdev, params, bo_ptr, fenced);
	if (ret != -ENOMEM && ret != -ENOSPC)
		return ret;

	memcg = get_mem_cgroup_from_mm(NULL);
	if (memcg && virtio_gpu_recycle_make_room(vgdev, memcg))
		ret = virtio_gpu_recycle_create_new(vgdev, params, bo_ptr,
						    fenced);
	if ((ret == -ENOMEM || ret == -ENOSPC) &&
	    !virtgpu_bo_memcg_full(memcg, params->size) &&
	    virtio_gpu_recycle_make_room(vgdev, NULL))
		ret = virtio_gpu_recycle_create_new(vgdev, params, bo_ptr,
						    fenced);
	mem_cgroup_put(memcg);
	return ret;
}

/*
 * A new BO, perhaps with old pages; it is told what it was created as and for
 * whom.
 */
static int
virtio_gpu_recycle_make(struct virtio_gpu_device *vgdev,
			struct virtio_gpu_object_params *params,
			struct virtgpu_bo_want *want,
			struct virtio_gpu_object **bo_ptr, bool fenced)
{
	struct virtgpu_bo_entry *entry;
	int ret;

	params->bo_want = want;
	ret = virtio_gpu_recycle_create_hard(vgdev, params, bo_ptr, fenced);
	if (ret)
		return ret;

	virtio_gpu_recycle_mark_zero(*bo_ptr);
	entry = &(*bo_ptr)->recycle.entry;
	entry->ident = want->ident;
	entry->group = want->group;
	if (want->owner) {
		kref_get(&want->owner->ref);
		entry->owner = want->owner;
	}
	return 0;
}

/**
 * virtio_gpu_recycle_create - create a BO, or hand one out again
 * @file: for whom
 * @vgdev: the device
 * @params: as for virtio_gpu_object_create()
 * @bo_ptr: where the BO goes, with one reference
 * @fenced: whether a new BO shall be busy until the host has created it
 *
 * Returns: 0 or a negative error code.
 */
int virtio_gpu_recycle_create(struct drm_file *file,
			      struct virtio_gpu_device *vgdev,
			      struct virtio_gpu_object_params *params,
			      struct virtio_gpu_object **bo_ptr, bool fenced)
{
	struct virtio_gpu_fpriv *vfpriv = file->driver_priv;
	struct virtgpu_bo_cache *cache = to_cache(vgdev);
	struct virtgpu_bo_want want = {
		.size = roundup(params->size, PAGE_SIZE),
		.group = virtgpu_bo_group_get(cache),
	};
	ktime_t start = 0;
	int ret;

	virtio_gpu_recycle_identify(params, &want.ident);
	if (vfpriv && virtio_gpu_recycle_is_reusable(&want.ident))
		want.owner = vfpriv->bo_owner;
	trace_bo_cache_create(cache, &want.ident, want.owner, want.group,
			      want.size, 0, VIRTGPU_BO_TIER_NONE, 0);
	if (trace_bo_cache_created_enabled())
		start = ktime_get();

	if (virtio_gpu_recycle_reuse(vgdev, &want, bo_ptr)) {
		virtgpu_bo_group_put(want.group);
	} else {
		ret = virtio_gpu_recycle_make(vgdev, params, &want, bo_ptr,
					      fenced);
		if (ret) {
			virtgpu_bo_group_put(want.group);
			return ret;
		}
	}
	if (start)
		trace_bo_cache_created(cache, &want, (*bo_ptr)->hw_res_handle,
				       start);
	return 0;
}

/*
 * Pages that may be kept, and given up by a shrinker, come from the kernel's blocks
 * for what is reclaimable.  Among its unmovable allocations they would leave no
 * block whole when they go, and a guest's free page reporting tells the host of
 * whole blocks only.
 */
static struct drm_gem_shmem_object *
virtio_gpu_recycle_new_object(struct virtio_gpu_device *vgdev, size_t size)
{
	struct drm_gem_shmem_object *shmem;
	struct address_space *mapping;

	shmem = drm_gem_shmem_create(vgdev->ddev, size);
	if (IS_ERR(shmem))
		return shmem;
	mapping = shmem->base.filp->f_mapping;
	mapping_set_gfp_mask(mapping, mapping_gfp_mask(mapping) |
			     __GFP_RECLAIMABLE);
	return shmem;
}

/**
 * virtio_gpu_recycle_alloc - get a GEM object for a new BO
 * @vgdev: the device
 * @params: what it will be
 *
 * Buffers are content with up to 1/8 more backing than they asked for; anything
 * else gets what it asked for.
 *
 * Returns: an object as drm_gem_shmem_create() returns it, perhaps with its
 * zeroed pages and its scatter list already there; or an ERR_PTR().
 */
struct drm_gem_shmem_object *
virtio_gpu_recycle_alloc(struct virtio_gpu_device *vgdev,
			 const struct virtio_gpu_object_params *params)
{
	struct virtgpu_bo_cache *cache = to_cache(vgdev);
	bool buffer = params->virgl && params->target == PIPE_BUFFER;
	struct virtgpu_bo_want *want = params->bo_want;
	struct virtgpu_bo_entry *entry = NULL;
	struct virtio_gpu_object *bo;

	if (!virtgpu_bo_cache_active(cache))
		return drm_gem_shmem_create(vgdev->ddev, params->size);
	if (!want || !want->group)
		return virtio_gpu_recycle_new_object(vgdev, params->size);

	entry = virtgpu_bo_cache_take_pages(cache, want->group, params->size,
					    !buffer);
	if (!entry) {
		want->served = VIRTGPU_BO_TIER_NONE;
		virtgpu_bo_cache_missed(cache, want);
		return virtio_gpu_recycle_new_object(vgdev, params->size);
	}

	want->served = VIRTGPU_BO_TIER_PAGES;
	bo = entry_to_bo(entry);
	virtio_gpu_resource_id_put(vgdev, bo->hw_res_handle);
	virtgpu_bo_owner_put(entry->owner);
	virtgpu_bo_group_put(entry->group);
	/* All that is the driver's own as virtio_gpu_create_object() has it. */
	memset_after(bo, 0, base);
	kref_init(&bo->base.base.refcount);
	return &bo->base;
}

/* Whether the pages may be handed on once the host has let go of them. */
static bool virtio_gpu_recycle_owns_pages(struct virtio_gpu_object *bo)
{
	struct drm_gem_object *obj = &bo->base.base;

	return virtio_gpu_is_shmem(bo) && !obj->import_attach && bo->base.sgt &&
	       obj->resv == &obj->_resv;
}

static bool virtio_gpu_recycle_refused(struct virtio_gpu_recycle *recycle,
				       u32 res_id)
{
	if (READ_ONCE(recycle->refusal_lost))
		return true;
	return !xa_empty(&recycle->refused) &&
	       xa_load(&recycle->refused, res_id);
}

static void virtio_gpu_recycle_forget(struct virtio_gpu_device *vgdev,
				      u32 res_id)
{
	if (!xa_empty(&vgdev->recycle.refused))
		xa_erase(&vgdev->recycle.refused, res_id);
}

/**
 * virtio_gpu_recycle_judge_any - why a freed BO can't be in any tier
 * @vgdev: the device
 * @bo: the BO, to which nobody refers any more
 *
 * Returns: the reason, VIRTGPU_BO_REJECT_NONE if it can.
 */
enum virtgpu_bo_reject
virtio_gpu_recycle_judge_any(struct virtio_gpu_device *vgdev,
			     struct virtio_gpu_object *bo)
{
	struct virtgpu_bo_cache *cache = to_cache(vgdev);

	if (READ_ONCE(cache->dead))
		return VIRTGPU_BO_REJECT_GONE;
	if (!virtgpu_bo_cache_active(cache))
		return VIRTGPU_BO_REJECT_DISABLED;
	if (!virtio_gpu_recycle_owns_pages(bo))
		return VIRTGPU_BO_REJECT_FOREIGN;
	if (!virtgpu_bo_cache_fits(cache, bo->base.base.size))
		return VIRTGPU_BO_REJECT_SIZE;
	if (!bo->recycle.entry.group)
		return VIRTGPU_BO_REJECT_NOMEM;
	virtgpu_bo_group_wake(bo->recycle.entry.group);
	if (virtgpu_bo_group_pressed(bo->recycle.entry.group))
		return VIRTGPU_BO_REJECT_PRESSURE;
	return VIRTGPU_BO_REJECT_NONE;
}

/**
 * virtio_gpu_recycle_judge_resource - why a freed BO can't be in the resource tier
 * @vgdev: the device
 * @bo: the BO, to which nobody refers any more, and which may be in one
 *
 * Returns: the reason, VIRTGPU_BO_REJECT_NONE if it can.
 */
enum virtgpu_bo_reject
virtio_gpu_recycle_judge_resource(struct virtio_gpu_device *vgdev,
				  struct virtio_gpu_object *bo)
{
	struct virtgpu_bo_entry *entry = &bo->recycle.entry;

	if (bo->guest_blob || bo->host3d_blob)
		return VIRTGPU_BO_REJECT_BLOB;
	if (entry->ident.bind & VIRGL_BIND_CUSTOM)
		return VIRTGPU_BO_REJECT_CUSTOM;
	if (bo->recycle.shared)
		return VIRTGPU_BO_REJECT_SHARED;
	if (!entry->owner || !bo->recycle.lone ||
	    READ_ONCE(entry->owner->closed))
		return VIRTGPU_BO_REJECT_OWNER;
	if (virtio_gpu_recycle_refused(&vgdev->recycle, bo->hw_res_handle))
		return VIRTGPU_BO_REJECT_REFUSED;
	if (!dma_resv_test_signaled(bo->base.base.resv,
				    DMA_RESV_USAGE_BOOKKEEP))
		return VIRTGPU_BO_REJECT_BUSY;
	if (virtgpu_bo_group_tight(entry->group, bo->base.base.size))
		return VIRTGPU_BO_REJECT_TIGHT;
	return VIRTGPU_BO_REJECT_NONE;
}

/**
 * virtio_gpu_recycle_free - the last reference to a BO is gone
 * @bo: the BO
 *
 * Returns: true if it is kept; false if the host is to be told now.
 */
bool virtio_gpu_recycle_free(struct virtio_gpu_object *bo)
{
	struct virtio_gpu_device *vgdev = bo_to_vgdev(bo);
	struct virtgpu_bo_cache *cache = to_cache(vgdev);
	struct virtgpu_bo_entry *entry = &bo->recycle.entry;
	enum virtgpu_bo_reject reject;
	enum virtgpu_bo_tier tier;

	virtgpu_bo_cache_leave(cache, entry);
	if (!bo->created)
		return false;
	bo->recycle.need = VIRTIO_GPU_NEED_YES;

	entry->freed = ktime_get();
	entry->size = bo->base.base.size;
	entry->bucket = virtgpu_bo_class(entry->size);
	entry->res_id = bo->hw_res_handle;
	reject = virtio_gpu_recycle_judge_any(vgdev, bo);
	entry->keep_pages = reject == VIRTGPU_BO_REJECT_NONE;
	tier = entry->keep_pages ? VIRTGPU_BO_TIER_PAGES : VIRTGPU_BO_TIER_NONE;
	/* In 2D there is no resource tier to be rejected from. */
	if (entry->keep_pages && vgdev->has_virgl_3d) {
		reject = virtio_gpu_recycle_judge_resource(vgdev, bo);
		if (reject == VIRTGPU_BO_REJECT_NONE)
			tier = VIRTGPU_BO_TIER_RESOURCE;
	}
	trace_bo_cache_free(cache, &entry->ident, entry->owner, entry->group,
			    entry->size, entry->res_id, tier, reject);
	if (tier == VIRTGPU_BO_TIER_RESOURCE) {
		if (virtgpu_bo_cache_put(cache, entry, tier,
					 virtio_gpu_recycle_is_zero(bo)))
			return true;
		/* Its file was closed, or something else changed. */
		reject = VIRTGPU_BO_REJECT_OWNER;
	}
	if (reject != VIRTGPU_BO_REJECT_NONE)
		virtgpu_bo_cache_rejected(cache, entry, reject);
	virtgpu_bo_cache_release_begin(cache, entry);
	return false;
}

/**
 * virtio_gpu_recycle_released - the host has answered RESOURCE_UNREF
 * @vgdev: the device
 * @vbuf: the command and its answer
 * @bo: the BO
 *
 * Runs in the dequeue worker.  Puts the pages into the pages tier or has the BO
 * freed.
 */
void virtio_gpu_recycle_released(struct virtio_gpu_device *vgdev,
				 struct virtio_gpu_vbuffer *vbuf,
				 struct virtio_gpu_object *bo)
{
	const struct virtio_gpu_ctrl_hdr *resp = (void *)vbuf->resp_buf;
	struct virtgpu_bo_cache *cache = to_cache(vgdev);
	struct virtgpu_bo_entry *entry = &bo->recycle.entry;
	bool ours = virtgpu_bo_cache_answered(cache, entry);

	if (virtio_gpu_recycle_is_dropping(bo)) {
		virtio_gpu_recycle_forget(vgdev, entry->res_id);
	} else if (!entry->keep_pages || !virtgpu_bo_cache_active(cache)) {
		virtgpu_bo_cache_lost(cache, entry, READ_ONCE(cache->dead) ?
				      VIRTGPU_BO_EVICT_DRAIN :
				      VIRTGPU_BO_EVICT_DISABLED);
	} else if (resp->type != cpu_to_le32(VIRTIO_GPU_RESP_OK_NODATA)) {
		/* It may still have them mapped. */
		virtgpu_bo_cache_rejected(cache, entry,
					  VIRTGPU_BO_REJECT_REFUSED);
		virtgpu_bo_cache_lost(cache, entry, VIRTGPU_BO_EVICT_REFUSED);
	} else {
		virtgpu_bo_cache_release_end
			(cache, virtgpu_bo_cache_release_take(cache, entry));
		virtio_gpu_recycle_forget(vgdev, entry->res_id);
		if (virtgpu_bo_cache_put(cache, entry, VIRTGPU_BO_TIER_PAGES,
					 false))
			return;
		virtgpu_bo_cache_lost(cache, entry,
				      virtgpu_bo_group_pressed(entry->group) ?
				      VIRTGPU_BO_EVICT_PRESSURE :
				      VIRTGPU_BO_EVICT_LIMIT);
	}
	if (!ours || !virtgpu_bo_cache_reap(cache, entry))
		virtio_gpu_recycle_free_pages(bo);
}

/**
 * virtio_gpu_recycle_unreachable - RESOURCE_UNREF could not be sent
 * @bo: the BO
 *
 * The device was unplugged.  Until it is reset the host may still write to the
 * BO's pages.
 */
void virtio_gpu_recycle_unreachable(struct virtio_gpu_object *bo)
{
	struct virtio_gpu_recycle *recycle = &bo_to_vgdev(bo)->recycle;
	bool reset;

	spin_lock(&recycle->state_lock);
	reset = recycle->reset;
	if (!reset)
		list_add_tail(&bo->recycle.entry.lru_link, &recycle->orphans);
	spin_unlock(&recycle->state_lock);
	if (reset)
		virtio_gpu_recycle_free_pages(bo);
}

/*
 * Take the pages out of the page cache, so that they are free when the driver
 * unpins them.  The last fput() of a worker would do so a little later, and who
 * purges, or needs memory for a new BO, could not wait for that.
 */
static void virtio_gpu_recycle_drop_pages(struct virtio_gpu_object *bo)
{
	struct file *filp = bo->base.base.filp;

	if (virtio_gpu_is_shmem(bo) && filp)
		shmem_truncate_range(file_inode(filp), 0, (loff_t)-1);
}

/**
 * virtio_gpu_recycle_cleanup - a BO is being freed for good
 * @bo: the BO
 *
 * Returns: for virtio_gpu_recycle_cleaned(), when it is.
 */
u64 virtio_gpu_recycle_cleanup(struct virtio_gpu_object *bo)
{
	struct virtio_gpu_device *vgdev = bo_to_vgdev(bo);
	struct virtgpu_bo_entry *entry = &bo->recycle.entry;
	u64 released;

	virtio_gpu_recycle_forget(vgdev, bo->hw_res_handle);
	virtgpu_bo_cache_lost(to_cache(vgdev), entry, VIRTGPU_BO_EVICT_DRAIN);
	released = virtgpu_bo_cache_release_take(to_cache(vgdev), entry);
	virtgpu_bo_owner_put(entry->owner);
	virtgpu_bo_group_put(entry->group);
	if (released)
		virtio_gpu_recycle_drop_pages(bo);
	return released;
}

/**
 * virtio_gpu_recycle_cleaned - a BO was freed for good
 * @vgdev: the device
 * @released: from virtio_gpu_recycle_cleanup()
 */
void virtio_gpu_recycle_cleaned(struct virtio_gpu_device *vgdev, u64 released)
{
	virtgpu_bo_cache_release_end(to_cache(vgdev), released);
}

/**
 * virtio_gpu_recycle_getparam - VIRTGPU_PARAM_BO_CACHE of DRM_IOCTL_VIRTGPU_GETPARAM
 * @vgdev: the device
 * @param: the ioctl's argument
 *
 * Returns: 0 or -EFAULT.
 */
int virtio_gpu_recycle_getparam(struct virtio_gpu_device *vgdev,
				const struct drm_virtgpu_getparam *param)
{
	struct virtgpu_bo_cache *cache = to_cache(vgdev);
	int ms = virtgpu_bo_cache_active(cache) ?
		 READ_ONCE(cache->timeout_ms) : 0;

	return put_user(ms, (int __user *)u64_to_user_ptr(param->value));
}

/*
 * Control queue
 */

/**
 * virtio_gpu_recycle_alloc_vbufs - put commands by for when memory is short
 * @vgdev: the device, with its vbufs
 *
 * Returns: 0, or -ENOMEM: then the vbufs are gone.
 */
int virtio_gpu_recycle_alloc_vbufs(struct virtio_gpu_device *vgdev)
{
	int ret;

	ret = mempool_init_slab_pool(&vgdev->recycle.vbufs, VBUFS_MIN,
				     vgdev->vbufs);
	if (ret) {
		kmem_cache_destroy(vgdev->vbufs);
		vgdev->vbufs = NULL;
	}
	return ret;
}

/**
 * virtio_gpu_recycle_free_vbufs - undo virtio_gpu_recycle_alloc_vbufs()
 * @vgdev: the device
 */
void virtio_gpu_recycle_free_vbufs(struct virtio_gpu_device *vgdev)
{
	mempool_exit(&vgdev->recycle.vbufs);
}

/**
 * virtio_gpu_recycle_get_vbuf - get an empty command
 * @vgdev: the device
 *
 * May sleep until the host gives one back.
 *
 * Returns: the command, zeroed; never NULL.
 */
struct virtio_gpu_vbuffer *
virtio_gpu_recycle_get_vbuf(struct virtio_gpu_device *vgdev)
{
	void *vbuf = mempool_alloc(&vgdev->recycle.vbufs, GFP_KERNEL);

	return memset(vbuf, 0, kmem_cache_size(vgdev->vbufs));
}

/**
 * virtio_gpu_recycle_put_vbuf - give a command back
 * @vgdev: the device
 * @vbuf: the command
 */
void virtio_gpu_recycle_put_vbuf(struct virtio_gpu_device *vgdev,
				 struct virtio_gpu_vbuffer *vbuf)
{
	mempool_free(vbuf, &vgdev->recycle.vbufs);
}

/**
 * virtio_gpu_recycle_add - add a command to the control queue
 * @vgdev: the device, its control queue locked
 * @vbuf: the command
 * @sgs: its scatter lists
 * @outcnt: how many of them the host reads
 * @incnt: how many it writes
 *
 * There may be no memory for an indirect descriptor, no room in the ring for
 * direct ones, or no bounce buffer.  All of these come back, so it is tried again,
 * with the queue unlocked in between.
 *
 * Returns: 0, or a negative error code when the device is gone.
 */
int virtio_gpu_recycle_add(struct virtio_gpu_device *vgdev,
			   struct virtio_gpu_vbuffer *vbuf,
			   struct scatterlist **sgs, int outcnt, int incnt)
	__must_hold(&vgdev->ctrlq.qlock)
{
	struct virtqueue *vq = vgdev->ctrlq.vq;
	unsigned int free;
	int ret;

	lockdep_assert_held(&vgdev->ctrlq.qlock);
	for (;;) {
		ret = virtqueue_add_sgs(vq, sgs, outcnt, incnt, vbuf,
					GFP_ATOMIC);
		if (!ret || virtqueue_is_broken(vq) ||
		    drm_dev_is_unplugged(vgdev->ddev))
			return ret;
		free = vq->num_free;
		spin_unlock(&vgdev->ctrlq.qlock);
		virtio_gpu_notify(vgdev);
		wait_event_timeout(vgdev->ctrlq.ack_queue, vq->num_free > free,
				   msecs_to_jiffies(ADD_RETRY_MS));
		spin_lock(&vgdev->ctrlq.qlock);
	}
}

/**
 * virtio_gpu_recycle_add_failed - let go of what a command would have used
 * @vgdev: the device, which is gone
 * @vbuf: the command that could not be added
 * @fence: its fence, or NULL
 */
void virtio_gpu_recycle_add_failed(struct virtio_gpu_device *vgdev,
				   struct virtio_gpu_vbuffer *vbuf,
				   struct virtio_gpu_fence *fence)
{
	if (fence)
		virtio_gpu_fence_event_process(vgdev, fence->fence_id);
	if (vbuf->objs)
		virtio_gpu_array_put_free_delayed(vgdev, vbuf->objs);
}

/**
 * virtio_gpu_recycle_unsent - a command can't be sent, the device is gone
 * @vbuf: the command, which holds references to BOs
 */
void virtio_gpu_recycle_unsent(struct virtio_gpu_vbuffer *vbuf)
{
	/* Not later: the device may be freed when its last file is closed. */
	if (vbuf->objs)
		virtio_gpu_array_put_free(vbuf->objs);
}

static void virtio_gpu_recycle_forget_vbuf(struct virtio_gpu_device *vgdev,
					   struct virtio_gpu_vbuffer *vbuf)
{
	const struct virtio_gpu_ctrl_hdr *cmd = (void *)vbuf->buf;

	if (cmd->flags & cpu_to_le32(VIRTIO_GPU_FLAG_FENCE))
		virtio_gpu_fence_event_process(vgdev,
					       le64_to_cpu(cmd->fence_id));
	switch (le32_to_cpu(cmd->type)) {
	case VIRTIO_GPU_CMD_RESOURCE_UNREF:
		virtio_gpu_recycle_free_pages(vbuf->resp_cb_data);
		break;
	case VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID:
	case VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB:
		/* Somebody waits; to an empty answer that is an error. */
		vbuf->resp_cb(vgdev, vbuf);
		break;
	}
	if (vbuf->objs)
		virtio_gpu_array_put_free(vbuf->objs);
	virtio_gpu_free_vbuf(vgdev, vbuf);
}

static void virtio_gpu_recycle_free_orphans(struct virtio_gpu_recycle *recycle)
{
	struct virtgpu_bo_entry *entry, *next;
	LIST_HEAD(orphans);

	spin_lock(&recycle->state_lock);
	recycle->reset = true;
	list_splice_init(&recycle->orphans, &orphans);
	spin_unlock(&recycle->state_lock);
	list_for_each_entry_safe(entry, next, &orphans, lru_link)
		virtio_gpu_recycle_free_pages(entry_to_bo(entry));
}

/**
 * virtio_gpu_recycle_unanswered - let go of what the host was at when it was reset
 * @vgdev: the device, unplugged and reset
 *
 * Who waits for an answer goes on.
 */
void virtio_gpu_recycle_unanswered(struct virtio_gpu_device *vgdev)
{
	struct virtio_gpu_vbuffer *vbuf;

	/* Nobody may ring the bell of a queue that is gone. */
	atomic_set(&vgdev->pending_commands, 0);
	/* Answers may have come in until it was reset. */
	flush_work(&vgdev->ctrlq.dequeue_work);
	flush_work(&vgdev->cursorq.dequeue_work);
	virtio_gpu_recycle_free_orphans(&vgdev->recycle);
	while ((vbuf = virtqueue_detach_unused_buf(vgdev->ctrlq.vq)))
		virtio_gpu_recycle_forget_vbuf(vgdev, vbuf);
	while ((vbuf = virtqueue_detach_unused_buf(vgdev->cursorq.vq)))
		virtio_gpu_recycle_forget_vbuf(vgdev, vbuf);
}

/**
 * virtio_gpu_recycle_ack - the host has answered commands
 * @vgdev: the device
 *
 * Runs in interrupt context.
 */
void virtio_gpu_recycle_ack(struct virtio_gpu_device *vgdev)
{
	struct workqueue_struct *wq = to_cache(vgdev)->wq;

	if (wq)
		queue_work(wq, &vgdev->ctrlq.dequeue_work);
	else
		schedule_work(&vgdev->ctrlq.dequeue_work);
}

/**
 * virtio_gpu_recycle_host_error - the host has refused a command
 * @vgdev: the device
 * @cmd: the command
 * @resp: its answer
 *
 * A resource that it did not create or attach looks like any other to the guest,
 * as it does without us; but it must not be handed out again.  A host without
 * memory gets back what the cache has of it.  Runs in the dequeue worker.
 */
void virtio_gpu_recycle_host_error(struct virtio_gpu_device *vgdev,
				   const struct virtio_gpu_ctrl_hdr *cmd,
				   const struct virtio_gpu_ctrl_hdr *resp)
{
	struct virtio_gpu_recycle *recycle = &vgdev->recycle;
	u32 res_id;

	if (resp->type == cpu_to_le32(VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY))
		virtgpu_bo_cache_evict(&recycle->cache,
				       VIRTGPU_BO_EVICT_RESOURCE, NULL,
				       VIRTGPU_BO_EVICT_HOST);

	switch (le32_to_cpu(cmd->type)) {
	case VIRTIO_GPU_CMD_RESOURCE_CREATE_2D:
	case VIRTIO_GPU_CMD_RESOURCE_CREATE_3D:
	case VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB:
	case VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING:
	case VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE:
		/* All of these name the resource first. */
		res_id = le32_to_cpup((const __le32 *)(cmd + 1));
		break;
	default:
		return;
	}

	if (xa_err(xa_store(&recycle->refused, res_id, xa_mk_value(1),
			    GFP_NOWAIT | __GFP_NOWARN)))
		WRITE_ONCE(recycle->refusal_lost, true);
	virtgpu_bo_cache_evict_res(&recycle->cache, res_id);
}
