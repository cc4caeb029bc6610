// SPDX-License-Identifier: GPL-2.0 OR MIT
// virtgpu_ioctl.c: what user space creates is recycled.

@create@
expression list args;
@@
virtio_gpu_resource_create_ioctl(...)
{
<...
-virtio_gpu_object_create(args)
+virtio_gpu_recycle_create(file, args)
...>
}

@create_blob@
expression list args;
@@
virtio_gpu_resource_create_blob_ioctl(...)
{
<...
-virtio_gpu_object_create(args)
+virtio_gpu_recycle_create(file, args)
...>
}
