// SPDX-License-Identifier: GPL-2.0 OR MIT
// virtgpu_drv.h: where recycling keeps what it needs.

@include_recycle@
@@
 #include <drm/virtgpu_drm.h>
+#include "virtgpu_recycle.h"

@ioctls@
expression count;
@@
-#define DRM_VIRTIO_NUM_IOCTLS count
+#define DRM_VIRTIO_NUM_IOCTLS (DRM_VIRTGPU_MADVISE + 1)

@bo_field@
@@
struct virtio_gpu_object {
...
+struct virtio_gpu_recycle_bo recycle;
};

@params_field@
@@
struct virtio_gpu_object_params {
...
+struct virtgpu_bo_want *bo_want;
};

@device_field@
@@
struct virtio_gpu_device {
...
+struct virtio_gpu_recycle recycle;
};

@file_field@
@@
struct virtio_gpu_fpriv {
...
+struct virtgpu_bo_owner *bo_owner;
};
