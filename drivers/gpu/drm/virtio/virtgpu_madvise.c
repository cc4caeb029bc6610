// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * BOs that their client can do without: DRM_IOCTL_VIRTGPU_MADVISE.
 *
 * Such a BO is an entry of the cache's purgeable tier, and the cache decides when
 * it goes.  It goes as a freed one would: the host is told, and when it has
 * answered a work frees the pages.  But the BO itself stays.
 *
 *	needed ----DONTNEED---> unneeded --claimed by the cache--> dropping
 *	   ^  ^                    |                                  |
 *	   |  +------WILLNEED------+                           pages are free
 *	   |                                                          v
 *	   +----------------WILLNEED_REPLACE---------------------- dropped
 *
 * What uses a BO looks at its state with the BO's reservation locked, and has
 * added its fence before that is unlocked; so whatever the state was then, it is
 * not dropped under the user.
 */

#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/mm.h>
#include <linux/shmem_fs.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem_framebuffer_helper.h>
#include <drm/drm_vma_manager.h>

#include "virtgpu_drv.h"
#include "virtgpu_recycle.h"

static struct virtio_gpu_device *bo_to_vgdev(struct virtio_gpu_object *bo)
{
	return bo->base.base.dev->dev_private;
}

static struct virtgpu_bo_cache *bo_to_cache(struct virtio_gpu_object *bo)
{
	return &bo_to_vgdev(bo)->recycle.cache;
}

/*
 * Using a BO
 */

static enum virtio_gpu_need virtio_gpu_madvise_need(struct virtio_gpu_object *bo)
{
	/* Pairs with the releases where a BO is dropped, and made again. */
	return smp_load_acquire(&bo->recycle.need);
}

/**
 * virtio_gpu_madvise_needed - whether a BO can be used
 * @bo: the BO; unless its reservation is locked the answer may be old
 *
 * Returns: true if so.
 */
bool virtio_gpu_madvise_needed(struct virtio_gpu_object *bo)
{
	return virtio_gpu_madvise_need(bo) == VIRTIO_GPU_NEED_YES;
}

/**
 * virtio_gpu_madvise_locked - BOs were locked to be used by the host
 * @objs: the BOs
 *
 * Returns: 0, or -EINVAL when one of them can't be used: then they are unlocked.
 */
int virtio_gpu_madvise_locked(struct virtio_gpu_object_array *objs)
{
	unsigned int i;

	for (i = 0; i < objs->nents; i++) {
		if (virtio_gpu_madvise_needed
		    (gem_to_virtio_gpu_obj(objs->objs[i])))
			continue;
		virtio_gpu_array_unlock_resv(objs);
		return -EINVAL;
	}
	return 0;
}

/**
 * virtio_gpu_madvise_transfer_2d - send a BO's content to the host
 * @vgdev: the device
 * @offset: all as for virtio_gpu_cmd_transfer_to_host_2d()
 * @width: pixels
 * @height: pixels
 * @x: pixels
 * @y: pixels
 * @objs: the BO
 * @fence: NULL, nobody waits for it
 *
 * Returns: 0 or a negative error code; then @objs still is the caller's.
 */
int virtio_gpu_madvise_transfer_2d(struct virtio_gpu_device *vgdev, u64 offset,
				   u32 width, u32 height, u32 x, u32 y,
				   struct virtio_gpu_object_array *objs,
				   struct virtio_gpu_fence *fence)
{
	struct drm_gem_object *obj = objs->objs[0];
	int ret;

	/* The array may be gone when the command is queued. */
	drm_gem_object_get(obj);
	ret = virtio_gpu_array_lock_resv(objs);
	if (!ret) {
		virtio_gpu_cmd_transfer_to_host_2d(vgdev, offset, width, height,
						   x, y, objs, fence);
		dma_resv_unlock(obj->resv);
	}
	drm_gem_object_put(obj);
	return ret;
}

/**
 * virtio_gpu_madvise_frame - a BO becomes part of a framebuffer
 * @obj: the BO
 *
 * Returns: 0, or -EINVAL when it can't be used.
 */
int virtio_gpu_madvise_frame(struct drm_gem_object *obj)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);
	struct virtio_gpu_recycle *recycle = &bo_to_vgdev(bo)->recycle;
	int ret = -EINVAL;

	spin_lock(&recycle->state_lock);
	if (virtio_gpu_madvise_needed(bo)) {
		bo->recycle.frames++;
		ret = 0;
	}
	spin_unlock(&recycle->state_lock);
	return ret;
}

/**
 * virtio_gpu_madvise_unframe - a BO is not part of a framebuffer any more
 * @obj: the BO
 */
void virtio_gpu_madvise_unframe(struct drm_gem_object *obj)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);
	struct virtio_gpu_recycle *recycle = &bo_to_vgdev(bo)->recycle;

	spin_lock(&recycle->state_lock);
	bo->recycle.frames--;
	spin_unlock(&recycle->state_lock);
}

/**
 * virtio_gpu_madvise_fb_destroy - a framebuffer is freed
 * @fb: the framebuffer
 */
void virtio_gpu_madvise_fb_destroy(struct drm_framebuffer *fb)
{
	virtio_gpu_madvise_unframe(fb->obj[0]);
	drm_gem_fb_destroy(fb);
}

/*
 * Mappings.  They hold no pages, unlike those of the shmem helpers: the scatter
 * list does while there are any, and then they can go although there are
 * mappings.
 */

static void virtio_gpu_madvise_put_pages(struct drm_gem_shmem_object *shmem)
{
	dma_resv_lock(shmem->base.resv, NULL);
	drm_gem_shmem_put_pages_locked(shmem);
	dma_resv_unlock(shmem->base.resv);
}

static vm_fault_t virtio_gpu_madvise_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct drm_gem_object *obj = vma->vm_private_data;
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);
	unsigned long page = (vmf->address - vma->vm_start) >> PAGE_SHIFT;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	dma_resv_lock(obj->resv, NULL);
	if (virtio_gpu_madvise_needed(bo) && page < obj->size >> PAGE_SHIFT)
		ret = vmf_insert_pfn(vma, vmf->address,
				     page_to_pfn(bo->base.pages[page]));
	dma_resv_unlock(obj->resv);
	return ret;
}

static const struct vm_operations_struct virtio_gpu_madvise_vm_ops = {
	.fault = virtio_gpu_madvise_fault,
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
};

/**
 * virtio_gpu_madvise_mmap - user space maps a BO
 * @obj: the BO
 * @vma: where
 *
 * Returns: 0 or a negative error code.
 */
int virtio_gpu_madvise_mmap(struct drm_gem_object *obj,
			    struct vm_area_struct *vma)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);
	int ret;

	if (!virtio_gpu_madvise_needed(bo))
		return -EINVAL;
	if (obj->import_attach)
		return drm_gem_shmem_object_mmap(obj, vma);

	ret = drm_gem_shmem_object_mmap(obj, vma);
	if (ret)
		return ret;
	virtio_gpu_madvise_put_pages(&bo->base);
	vma->vm_ops = &virtio_gpu_madvise_vm_ops;
	return 0;
}

/*
 * Dropping a BO
 */

/**
 * virtio_gpu_madvise_claim - a BO shall be dropped
 * @bo: the BO, unneeded; the cache's lock is held
 *
 * Returns: false if the host may still use it, or it is being freed; else the
 * caller has a reference.
 */
bool virtio_gpu_madvise_claim(struct virtio_gpu_object *bo)
{
	struct drm_gem_object *obj = &bo->base.base;

	if (!dma_resv_test_signaled(obj->resv, DMA_RESV_USAGE_BOOKKEEP) ||
	    !kref_get_unless_zero(&obj->refcount))
		return false;
	WRITE_ONCE(bo->recycle.need, VIRTIO_GPU_NEED_DROPPING);
	return true;
}

/**
 * virtio_gpu_madvise_release - tell the host that a BO is dropped
 * @bo: the BO
 */
void virtio_gpu_madvise_release(struct virtio_gpu_object *bo)
{
	bo->created = false;
	bo->attached = false;
	virtio_gpu_cmd_unref_resource(bo_to_vgdev(bo), bo);
}

static void virtio_gpu_madvise_free_backing(struct drm_gem_shmem_object *shmem)
{
	struct sg_table *sgt = shmem->sgt;

	if (!sgt)
		return;
	shmem->sgt = NULL;
	dma_unmap_sgtable(shmem->base.dev->dev, sgt, DMA_BIDIRECTIONAL, 0);
	sg_free_table(sgt);
	kfree(sgt);
	virtio_gpu_madvise_put_pages(shmem);
	shmem_truncate_range(file_inode(shmem->base.filp), 0, (loff_t)-1);
}

/**
 * virtio_gpu_madvise_drop - free the pages of a BO
 * @bo: the BO, which the host has let go of; the caller's reference goes too
 */
void virtio_gpu_madvise_drop(struct virtio_gpu_object *bo)
{
	struct virtgpu_bo_cache *cache = bo_to_cache(bo);
	struct drm_gem_object *obj = &bo->base.base;
	u64 released;

	/* Whoever saw it needed in a fault is through with that now. */
	dma_resv_lock(obj->resv, NULL);
	dma_resv_unlock(obj->resv);
	drm_vma_node_unmap(&obj->vma_node, obj->dev->anon_inode->i_mapping);
	virtio_gpu_madvise_free_backing(&bo->base);

	released = virtgpu_bo_cache_release_take(cache, &bo->recycle.entry);
	/* Pairs with the acquire in virtio_gpu_madvise_need(). */
	smp_store_release(&bo->recycle.need, VIRTIO_GPU_NEED_DROPPED);
	virtgpu_bo_cache_release_end(cache, released);
	drm_gem_object_put(obj);
}

/*
 * The ioctl
 */

static bool
virtio_gpu_madvise_is_pinned(const struct drm_gem_shmem_object *shmem)
{
	return refcount_read(&shmem->vmap_use_count) ||
	       refcount_read(&shmem->pages_pin_count);
}

/* Why a client can't do without a BO; its state_lock is held. */
static int virtio_gpu_madvise_check(struct virtio_gpu_object *bo)
{
	struct drm_gem_object *obj = &bo->base.base;

	/* A framebuffer may count as a handle. */
	if (bo->recycle.frames)
		return -EBUSY;
	/* And what is about to be detached must not be dropped before it is. */
	if (bo->recycle.shared || bo->recycle.detached ||
	    READ_ONCE(obj->name) || READ_ONCE(obj->dma_buf) ||
	    READ_ONCE(obj->handle_count) > 1)
		return -EINVAL;
	return virtio_gpu_madvise_is_pinned(&bo->base) ? -EBUSY : 0;
}

static int virtio_gpu_madvise_dontneed(struct virtio_gpu_object *bo)
{
	struct virtio_gpu_recycle *recycle = &bo_to_vgdev(bo)->recycle;
	struct virtgpu_bo_entry *entry = &bo->recycle.entry;
	int ret;

	dma_resv_assert_held(bo->base.base.resv);
	if (!virtio_gpu_madvise_needed(bo))
		return 0;

	spin_lock(&recycle->state_lock);
	ret = virtio_gpu_madvise_check(bo);
	if (!ret)
		WRITE_ONCE(bo->recycle.need, VIRTIO_GPU_NEED_NO);
	spin_unlock(&recycle->state_lock);
	if (ret)
		return ret;

	entry->freed = ktime_get();
	entry->size = bo->base.base.size;
	entry->res_id = bo->hw_res_handle;
	if (entry->group)
		virtgpu_bo_group_wake(entry->group);
	/* If it does not get in, it is never dropped. */
	virtgpu_bo_cache_put(&recycle->cache, entry, VIRTGPU_BO_TIER_PURGEABLE,
			     true);
	return 0;
}

/* Returns whether it has its content. */
static bool virtio_gpu_madvise_willneed(struct virtio_gpu_object *bo)
{
	struct virtgpu_bo_cache *cache = bo_to_cache(bo);

	dma_resv_assert_held(bo->base.base.resv);
	if (virtio_gpu_madvise_needed(bo))
		return true;
	/* If it was not held, it either never was or has been claimed. */
	if (!virtgpu_bo_cache_take_back(cache, &bo->recycle.entry) &&
	    READ_ONCE(bo->recycle.need) != VIRTIO_GPU_NEED_NO)
		return false;
	WRITE_ONCE(bo->recycle.need, VIRTIO_GPU_NEED_YES);
	return true;
}

/* Sends what creates a BO, whose pages are there; @objs is for its context. */
static void virtio_gpu_madvise_recreate(struct virtio_gpu_object *bo,
					struct virtio_gpu_fpriv *vfpriv,
					struct virtio_gpu_object_array *objs,
					struct virtio_gpu_mem_entry *ents,
					unsigned int nents)
{
	struct virtio_gpu_device *vgdev = bo_to_vgdev(bo);
	struct virtio_gpu_object_params params;

	virtio_gpu_recycle_params(bo, &params);
	if (params.blob) {
		params.ctx_id = vfpriv->ctx_id;
		virtio_gpu_cmd_resource_create_blob(vgdev, bo, &params, ents,
						    nents);
	} else {
		if (params.virgl)
			virtio_gpu_cmd_resource_create_3d(vgdev, bo, &params,
							  NULL, NULL);
		else
			virtio_gpu_cmd_create_resource(vgdev, bo, &params,
						       NULL, NULL);
		virtio_gpu_object_attach(vgdev, bo, ents, nents);
	}
	if (objs)
		virtio_gpu_cmd_context_attach_resource(vgdev, vfpriv->ctx_id,
						       objs);
	virtio_gpu_notify(vgdev);
}

/* Makes a dropped BO again. */
static int virtio_gpu_madvise_remake(struct virtio_gpu_object *bo,
				     struct virtio_gpu_fpriv *vfpriv)
{
	struct virtio_gpu_device *vgdev = bo_to_vgdev(bo);
	struct virtgpu_bo_entry *entry = &bo->recycle.entry;
	struct virtio_gpu_object_array *objs = NULL;
	struct virtio_gpu_mem_entry *ents = NULL;
	unsigned int nents;
	int ret;

	if (bo->recycle.attached) {
		objs = virtio_gpu_array_alloc(1);
		if (!objs)
			return -ENOMEM;
		virtio_gpu_array_add_obj(objs, &bo->base.base);
	}
	ret = virtio_gpu_object_shmem_init(vgdev, bo, &ents, &nents);
	if (ret == -ENOMEM && virtio_gpu_recycle_make_room(vgdev, NULL))
		ret = virtio_gpu_object_shmem_init(vgdev, bo, &ents, &nents);
	if (ret) {
		virtio_gpu_madvise_free_backing(&bo->base);
		if (objs)
			virtio_gpu_array_put_free(objs);
		return ret;
	}

	/* The pages are charged to who asks for them now. */
	virtgpu_bo_group_put(entry->group);
	entry->group = virtgpu_bo_group_get(bo_to_cache(bo));
	virtio_gpu_madvise_recreate(bo, vfpriv, objs, ents, nents);
	return 0;
}

/* Returns 0 or a negative error code; then the BO is as it was. */
static int virtio_gpu_madvise_replace(struct virtio_gpu_object *bo,
				      struct virtio_gpu_fpriv *vfpriv)
{
	struct virtio_gpu_recycle *recycle = &bo_to_vgdev(bo)->recycle;
	int ret;

	ret = wait_event_interruptible(recycle->cache.wait,
				       virtio_gpu_madvise_need(bo) !=
				       VIRTIO_GPU_NEED_DROPPING);
	if (ret)
		return ret;
	ret = mutex_lock_interruptible(&recycle->remake_lock);
	if (ret)
		return ret;
	if (READ_ONCE(bo->recycle.need) == VIRTIO_GPU_NEED_DROPPED) {
		ret = virtio_gpu_madvise_remake(bo, vfpriv);
		if (!ret) {
			/* Pairs with virtio_gpu_madvise_need(). */
			smp_store_release(&bo->recycle.need,
					  VIRTIO_GPU_NEED_YES);
		}
	}
	mutex_unlock(&recycle->remake_lock);
	return ret;
}

static int virtio_gpu_madvise_bo(struct virtio_gpu_object *bo,
				 struct virtio_gpu_fpriv *vfpriv,
				 struct drm_virtgpu_madvise *args)
{
	struct dma_resv *resv = bo->base.base.resv;
	bool retained = true;
	int ret;

	ret = dma_resv_lock_interruptible(resv, NULL);
	if (ret)
		return ret;
	if (args->madv == VIRTGPU_MADV_DONTNEED) {
		ret = virtio_gpu_madvise_dontneed(bo);
		retained = READ_ONCE(bo->recycle.need) <= VIRTIO_GPU_NEED_NO;
	} else {
		retained = virtio_gpu_madvise_willneed(bo);
	}
	dma_resv_unlock(resv);

	if (!retained && args->madv == VIRTGPU_MADV_WILLNEED_REPLACE)
		ret = virtio_gpu_madvise_replace(bo, vfpriv);
	if (!ret)
		args->retained = retained;
	return ret;
}

/**
 * virtio_gpu_madvise_ioctl - DRM_IOCTL_VIRTGPU_MADVISE
 * @dev: the device
 * @data: a &struct drm_virtgpu_madvise, which see
 * @file: whose BO
 *
 * Returns: 0 or a negative error code.
 */
int virtio_gpu_madvise_ioctl(struct drm_device *dev, void *data,
			     struct drm_file *file)
{
	struct drm_virtgpu_madvise *args = data;
	struct drm_gem_object *obj;
	struct virtio_gpu_object *bo;
	int ret;

	if (args->pad || args->madv > VIRTGPU_MADV_WILLNEED_REPLACE)
		return -EINVAL;
	obj = drm_gem_object_lookup(file, args->bo_handle);
	if (!obj)
		return -ENOENT;

	bo = gem_to_virtio_gpu_obj(obj);
	if (virtio_gpu_is_shmem(bo) && !obj->import_attach) {
		ret = virtio_gpu_madvise_bo(bo, file->driver_priv, args);
	} else {
		ret = args->madv == VIRTGPU_MADV_DONTNEED ? -EINVAL : 0;
		args->retained = 1;
	}
	drm_gem_object_put(obj);
	return ret;
}
