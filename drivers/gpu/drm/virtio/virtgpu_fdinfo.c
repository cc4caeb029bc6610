// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What a client uses, in the fdinfo of its DRM file: see
 * Documentation/gpu/drm-usage-stats.rst of the kernel.
 *
 * The region "memory" is what it has open, "cached" what it has closed and would
 * get back if it created the same again.
 */

#include <linux/fs.h>
#include <linux/module.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>

#include "virtgpu_drv.h"

/**
 * virtio_gpu_fdinfo_status - whether a BO has pages, and whether it needs them
 * @obj: the BO
 *
 * Returns: flags.
 */
enum drm_gem_object_status virtio_gpu_fdinfo_status(struct drm_gem_object *obj)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);
	enum drm_gem_object_status status = 0;

	if (READ_ONCE(bo->base.pages))
		status |= DRM_GEM_OBJECT_RESIDENT;
	if (!virtio_gpu_madvise_needed(bo))
		status |= DRM_GEM_OBJECT_PURGEABLE;
	return status;
}

/**
 * virtio_gpu_fdinfo_show - what a client uses
 * @p: where to write it
 * @file: its file
 */
void virtio_gpu_fdinfo_show(struct drm_printer *p, struct drm_file *file)
{
	struct virtio_gpu_fpriv *vfpriv = file->driver_priv;
	struct drm_memory_stats stats = { 0 };

	drm_show_memory_stats(p, file);
	if (!vfpriv || !vfpriv->bo_owner)
		return;
	stats.private = READ_ONCE(vfpriv->bo_owner->bytes);
	stats.resident = stats.private;
	stats.purgeable = stats.private;
	drm_print_memory_stats(p, &stats, DRM_GEM_OBJECT_RESIDENT |
			       DRM_GEM_OBJECT_PURGEABLE, "cached");
}

const struct file_operations virtio_gpu_fdinfo_fops = {
	.owner = THIS_MODULE,
	DRM_GEM_FOPS,
	.show_fdinfo = drm_show_fdinfo,
};
