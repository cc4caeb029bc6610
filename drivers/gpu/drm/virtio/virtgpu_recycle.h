/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The driver's side of the BO cache: what the rest of the driver calls.
 */
#ifndef VIRTGPU_RECYCLE_H
#define VIRTGPU_RECYCLE_H

#include <linux/kobject.h>
#include <linux/mempool.h>
#include <linux/xarray.h>

#include "virtgpu_bo_cache.h"

struct drm_file;
struct drm_gem_object;
struct drm_gem_shmem_object;
struct drm_minor;
struct iosys_map;
struct scatterlist;
struct virtio_gpu_ctrl_hdr;
struct virtio_gpu_device;
struct virtio_gpu_fence;
struct virtio_gpu_fpriv;
struct virtio_gpu_object;
struct virtio_gpu_object_params;
struct virtio_gpu_vbuffer;
struct vm_area_struct;

/**
 * struct virtio_gpu_recycle_bo - what recycling needs to know of a BO
 *
 * A BO whose only handle is closed stays attached to its owner's context: the
 * CTX_DETACH is withheld, so that the BO is free at once and comes back without
 * a command.  The first five flags are protected by
 * &virtio_gpu_recycle.state_lock; the last two members by there being one user
 * when they are reset and none when they are looked at.
 */
struct virtio_gpu_recycle_bo {
	/** @entry: its place in the cache */
	struct virtgpu_bo_entry entry;
	/** @opened: it had a handle since it was created or handed out */
	bool opened;
	/** @shared: it may be known to others than its owner, for ever */
	bool shared;
	/** @attached: CTX_ATTACH was sent for its owner's context */
	bool attached;
	/** @lone: its only handle is closed and nobody else knows it */
	bool lone;
	/** @withheld: of that handle, CTX_DETACH was not sent */
	bool withheld;
	/** @mapped: the guest could write to its pages since they were zero */
	bool mapped;
	/** @host_writes: &virtio_gpu_recycle.host_writes when they were zero */
	u64 host_writes;
};

/**
 * struct virtio_gpu_recycle - what recycling keeps for a device
 */
struct virtio_gpu_recycle {
	/** @cache: the store */
	struct virtgpu_bo_cache cache;
	/** @state_lock: for the flags of BOs, and what says so; innermost */
	spinlock_t state_lock;
	/** @host_writes: commands sent by which the host may write to pages */
	atomic64_t host_writes;
	/**
	 * @vbufs: commands come from here, so that those which give memory back
	 * can be sent when there is none; valid while &virtio_gpu_device.vbufs is
	 */
	mempool_t vbufs;
	/** @refused: ids of resources that the host did not create or attach */
	struct xarray refused;
	/** @refusal_lost: such an id could not be stored, so no BO is trusted */
	bool refusal_lost;
	/** @reset: the host was reset and has let go of everything */
	bool reset;
	/** @orphans: BOs that are freed when it is; with @reset, by @state_lock */
	struct list_head orphans;
	/** @kobj: the sysfs folder, NULL if there is none */
	struct kobject *kobj;
};

/* device */
void virtio_gpu_recycle_init(struct virtio_gpu_device *vgdev);
void virtio_gpu_recycle_register(struct virtio_gpu_device *vgdev);
void virtio_gpu_recycle_unregister(struct virtio_gpu_device *vgdev);
void virtio_gpu_recycle_deinit(struct virtio_gpu_device *vgdev);

/* DRM file */
void virtio_gpu_recycle_file_open(struct virtio_gpu_fpriv *vfpriv);
void virtio_gpu_recycle_file_close(struct virtio_gpu_device *vgdev,
				   struct virtio_gpu_fpriv *vfpriv);

/* handle */
bool virtio_gpu_recycle_open(struct drm_gem_object *obj);
void virtio_gpu_recycle_attached(struct drm_gem_object *obj);
bool virtio_gpu_recycle_close(struct drm_gem_object *obj,
			      struct drm_file *file);
void virtio_gpu_recycle_share(struct drm_gem_object *obj);

/* content */
int virtio_gpu_recycle_mmap(struct drm_gem_object *obj,
			    struct vm_area_struct *vma);
int virtio_gpu_recycle_vmap(struct drm_gem_object *obj, struct iosys_map *map);
void virtio_gpu_recycle_host_writes(struct virtio_gpu_device *vgdev);

/* BO */
int virtio_gpu_recycle_create(struct drm_file *file,
			      struct virtio_gpu_device *vgdev,
			      struct virtio_gpu_object_params *params,
			      struct virtio_gpu_object **bo_ptr, bool fenced);
struct drm_gem_shmem_object *
virtio_gpu_recycle_alloc(struct virtio_gpu_device *vgdev,
			 const struct virtio_gpu_object_params *params);
enum virtgpu_bo_reject
virtio_gpu_recycle_judge_any(struct virtio_gpu_device *vgdev,
			     struct virtio_gpu_object *bo);
enum virtgpu_bo_reject
virtio_gpu_recycle_judge_resource(struct virtio_gpu_device *vgdev,
				  struct virtio_gpu_object *bo);
bool virtio_gpu_recycle_free(struct virtio_gpu_object *bo);
void virtio_gpu_recycle_released(struct virtio_gpu_device *vgdev,
				 struct virtio_gpu_vbuffer *vbuf,
				 struct virtio_gpu_object *bo);
void virtio_gpu_recycle_unreachable(struct virtio_gpu_object *bo);
u64 virtio_gpu_recycle_cleanup(struct virtio_gpu_object *bo);
void virtio_gpu_recycle_cleaned(struct virtio_gpu_device *vgdev, u64 released);

/* control queue */
int virtio_gpu_recycle_alloc_vbufs(struct virtio_gpu_device *vgdev);
void virtio_gpu_recycle_free_vbufs(struct virtio_gpu_device *vgdev);
struct virtio_gpu_vbuffer *
virtio_gpu_recycle_get_vbuf(struct virtio_gpu_device *vgdev);
void virtio_gpu_recycle_put_vbuf(struct virtio_gpu_device *vgdev,
				 struct virtio_gpu_vbuffer *vbuf);
int virtio_gpu_recycle_add(struct virtio_gpu_device *vgdev,
			   struct virtio_gpu_vbuffer *vbuf,
			   struct scatterlist **sgs, int outcnt, int incnt);
void virtio_gpu_recycle_add_failed(struct virtio_gpu_device *vgdev,
				   struct virtio_gpu_vbuffer *vbuf,
				   struct virtio_gpu_fence *fence);
void virtio_gpu_recycle_unsent(struct virtio_gpu_vbuffer *vbuf);
void virtio_gpu_recycle_unanswered(struct virtio_gpu_device *vgdev);
void virtio_gpu_recycle_ack(struct virtio_gpu_device *vgdev);
void virtio_gpu_recycle_host_error(struct virtio_gpu_device *vgdev,
				   const struct virtio_gpu_ctrl_hdr *cmd,
				   const struct virtio_gpu_ctrl_hdr *resp);

/* virtgpu_vq.c, where it is static */
void free_vbuf(struct virtio_gpu_device *vgdev,
	       struct virtio_gpu_vbuffer *vbuf);

/* virtgpu_object.c, where it is static */
void virtio_gpu_resource_id_put(struct virtio_gpu_device *vgdev, uint32_t id);

/* virtgpu_bo_cache_sysfs.c */
int virtio_gpu_bo_cache_sysfs_add(struct virtio_gpu_device *vgdev);
void virtio_gpu_bo_cache_sysfs_del(struct virtio_gpu_device *vgdev);

/* virtgpu_bo_cache_debugfs.c */
void virtio_gpu_bo_cache_debugfs_add(struct drm_minor *minor);

#endif
