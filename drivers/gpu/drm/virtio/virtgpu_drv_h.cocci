// SPDX-License-Identifier: GPL-2.0 OR MIT
// virtgpu_drv.h: where recycling keeps what it needs.

@include_recycle@
@@
 #include <drm/virtgpu_drm.h>
+#include "virtgpu_recycle.h"

@declare@
@@
 struct virtio_gpu_fpriv {
 ...
 };
+
+/* virtgpu_object.c and virtgpu_vq.c, for what recycles BOs */
+void virtio_gpu_resource_id_put(struct virtio_gpu_device *vgdev, uint32_t id);
+int virtio_gpu_object_shmem_init(struct virtio_gpu_device *vgdev,
+				 struct virtio_gpu_object *bo,
+				 struct virtio_gpu_mem_entry **ents,
+				 unsigned int *nents);
+void virtio_gpu_free_vbuf(struct virtio_gpu_device *vgdev,
+			  struct virtio_gpu_vbuffer *vbuf);

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
