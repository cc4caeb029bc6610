// SPDX-License-Identifier: GPL-2.0 OR MIT
// virtgpu_ioctl.c: what user space creates is recycled.

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
