/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The driver's side of the BO cache: what the rest of the driver calls.
 */
#ifndef VIRTGPU_RECYCLE_H
#define VIRTGPU_RECYCLE_H

#include <linux/kobject.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/xarray.h>

#include "virtgpu_bo_cache.h"

struct drm_device;
struct drm_file;
struct drm_framebuffer;
struct drm_gem_object;
struct drm_gem_shmem_object;
struct drm_minor;
struct drm_printer;
struct drm_virtgpu_getparam;
struct file_operations;
struct iosys_map;
struct scatterlist;
struct virtio_gpu_ctrl_hdr;
struct virtio_gpu_device;
struct virtio_gpu_fence;
struct virtio_gpu_fpriv;
struct virtio_gpu_object;
struct virtio_gpu_object_array;
struct virtio_gpu_object_params;
struct virtio_gpu_vbuffer;
struct vm_area_struct;

/**
 * enum virtio_gpu_need - whether a client needs the content of a BO
 * @VIRTIO_GPU_NEED_YES: it does, or there is none to say so
 * @VIRTIO_GPU_NEED_NO: it may be dropped
 * @VIRTIO_GPU_NEED_DROPPING: the host is told, pages are freed
 * @VIRTIO_GPU_NEED_DROPPED: it has neither resource nor pages
 */
enum virtio_gpu_need {
	VIRTIO_GPU_NEED_YES,
	VIRTIO_GPU_NEED_NO,
	VIRTIO_GPU_NEED_DROPPING,
	VIRTIO_GPU_NEED_DROPPED,
};

/**
 * struct virtio_gpu_recycle_bo - what recycling needs to know of a BO
 *
 * A BO whose only handle is closed stays attached to its owner's context: the
 * CTX_DETACH is withheld, so that the BO is free at once and comes back without
 * a command.  The flags up to @withheld and @frames are protected by
 * &virtio_gpu_recycle.state_lock; @mapped and @host_writes by there being one user
 * when they are reset and none when they are looked at.  @need changes from YES to
 * NO and back with the BO's reservation locked, to DROPPING with
 * &virtgpu_bo_cache.lock; whoever does the next step is alone then.
 */
struct virtio_gpu_recycle_bo {
	/** @entry: its place in the cache */
	struct virtgpu_bo_entry entry;
	/** @opened: it had a handle since it was created or handed out */
	bool opened;
	/** @shared: it may be known to others than its owner, for ever */
	bool shared;
	/** @detached: CTX_DETACH was sent for a handle of it, or is about to be */
	bool detached;
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
	/** @frames: framebuffers that it is part of */
	unsigned int frames;
	/** @need: whether its client needs it */
	enum virtio_gpu_need need;
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
	/** @remake_lock: held while a dropped BO is made again */
	struct mutex remake_lock;
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
void virtio_gpu_recycle_unregister(struct virtio_gpu_device *vgdev);
void virtio_gpu_recycle_deinit(struct virtio_gpu_device *vgdev);

/* DRM file */
void virtio_gpu_recycle_file_open(struct virtio_gpu_fpriv *vfpriv);
void virtio_gpu_recycle_file_close(struct virtio_gpu_device *vgdev,
				   struct virtio_gpu_fpriv *vfpriv);

/* handle */
int virtio_gpu_recycle_may_open(struct drm_gem_object *obj);
bool virtio_gpu_recycle_open(struct drm_gem_object *obj);
void virtio_gpu_recycle_attached(struct drm_gem_object *obj);
bool virtio_gpu_recycle_close(struct drm_gem_object *obj,
			      struct drm_file *file);
int virtio_gpu_recycle_share(struct drm_gem_object *obj);

/* content */
int virtio_gpu_recycle_mmap(struct drm_gem_object *obj,
			    struct vm_area_struct *vma);
int virtio_gpu_recycle_vmap(struct drm_gem_object *obj, struct iosys_map *map);
void virtio_gpu_recycle_host_writes(struct virtio_gpu_device *vgdev);

/* BO */
bool virtio_gpu_recycle_make_room(struct virtio_gpu_device *vgdev,
				  const struct mem_cgroup *memcg);
void virtio_gpu_recycle_params(struct virtio_gpu_object *bo,
			       struct virtio_gpu_object_params *params);
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

/* user space asks */
int virtio_gpu_recycle_getparam(struct virtio_gpu_device *vgdev,
				const struct drm_virtgpu_getparam *param);

/* virtgpu_madvise.c */
bool virtio_gpu_madvise_needed(struct virtio_gpu_object *bo);
int virtio_gpu_madvise_locked(struct virtio_gpu_object_array *objs);
int virtio_gpu_madvise_transfer_2d(struct virtio_gpu_device *vgdev, u64 offset,
				   u32 width, u32 height, u32 x, u32 y,
				   struct virtio_gpu_object_array *objs,
				   struct virtio_gpu_fence *fence);
int virtio_gpu_madvise_frame(struct drm_gem_object *obj);
void virtio_gpu_madvise_unframe(struct drm_gem_object *obj);
void virtio_gpu_madvise_fb_destroy(struct drm_framebuffer *fb);
int virtio_gpu_madvise_mmap(struct drm_gem_object *obj,
			    struct vm_area_struct *vma);
bool virtio_gpu_madvise_claim(struct virtio_gpu_object *bo);
void virtio_gpu_madvise_release(struct virtio_gpu_object *bo);
void virtio_gpu_madvise_drop(struct virtio_gpu_object *bo);
int virtio_gpu_madvise_ioctl(struct drm_device *dev, void *data,
			     struct drm_file *file);

/* virtgpu_fdinfo.c */
enum drm_gem_object_status virtio_gpu_fdinfo_status(struct drm_gem_object *obj);
void virtio_gpu_fdinfo_show(struct drm_printer *p, struct drm_file *file);
extern const struct file_operations virtio_gpu_fdinfo_fops;

/* virtgpu_bo_cache_sysfs.c */
void virtio_gpu_bo_cache_sysfs_add(struct virtio_gpu_device *vgdev);
void virtio_gpu_bo_cache_sysfs_del(struct virtio_gpu_device *vgdev);

/* virtgpu_bo_cache_debugfs.c */
void virtio_gpu_bo_cache_debugfs_add(struct drm_minor *minor);

#endif
