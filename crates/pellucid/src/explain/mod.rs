//! Why a network says what it says: looks into trained networks, computed by ordinary plans.

mod grad_cam;

pub use grad_cam::{GradCam, GradCamError, last_feature_map};
