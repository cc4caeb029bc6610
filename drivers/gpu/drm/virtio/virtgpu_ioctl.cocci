// SPDX-License-Identifier: GPL-2.0 OR MIT
// virtgpu_ioctl.c: what user space creates is recycled; what we add to the uAPI.

@create@
identifier fence, bo, params;
expression list args;
@@
virtio_gpu_resource_create_ioctl(...)
{
...
-struct virtio_gpu_fence *fence;
...
-fence = virtio_gpu_fence_alloc(args);
-if (!fence)
-	return -ENOMEM;
-ret = virtio_gpu_object_create(vgdev, &params, &bo, fence);
-dma_fence_put(&fence->f);
+ret = virtio_gpu_recycle_create(file, vgdev, &params, &bo, true);
...
}

@create_blob@
expression params, bo_ptr;
@@
virtio_gpu_resource_create_blob_ioctl(...)
{
<...
-virtio_gpu_object_create(vgdev, params, bo_ptr, NULL)
+virtio_gpu_recycle_create(file, vgdev, params, bo_ptr, false)
...>
}

@getparam@
identifier param;
@@
virtio_gpu_getparam_ioctl(...)
{
...
struct drm_virtgpu_getparam *param = ...;
int value;
+if (param->param == VIRTGPU_PARAM_BO_CACHE)
+	return virtio_gpu_recycle_getparam(vgdev, param);
...
}

@madvise@
identifier ioctls;
initializer list entries;
expression count;
@@
struct drm_ioctl_desc ioctls[count] = { entries,
+DRM_IOCTL_DEF_DRV(VIRTGPU_MADVISE, virtio_gpu_madvise_ioctl, DRM_RENDER_ALLOW),
};

@transfer_2d@
expression list args;
@@
virtio_gpu_transfer_to_host_ioctl(...)
{
<...
-virtio_gpu_cmd_transfer_to_host_2d(args);
+ret = virtio_gpu_madvise_transfer_2d(args);
...>
}

@transfer_2d_failed@
expression list args;
@@
ret = virtio_gpu_madvise_transfer_2d(args);
+if (ret)
+	goto err_put_free;
