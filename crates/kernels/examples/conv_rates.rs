//! Rates of convolutions in GFLOP/s, beside the share of the peak of the threads used. What Winograd's algorithm can compute
//! is shown both ways; the FLOPs are those of the direct way, so its share may exceed 100 %.
//!
//! `cargo run --release -p pellucid-kernels --example conv_rates -- [threads] [seconds each] [part of a name]`

use std::time::Instant;

use kernels::conv::{
    After, Algorithm, Conv, Weights, bias_gradient, forward, forward_scratch, input_gradient, input_gradient_scratch,
    pack, weight_gradient, weight_gradient_scratch,
};
use kernels::device::Device;
use kernels::simd::Isa;

/// The peak of one core of the machine that this was tuned on, in GFLOP/s.
const PEAK: f64 = 39.5;

fn square(batch: usize, inner: usize, outer: usize, size: usize, kernel: usize, stride: usize, groups: usize) -> Conv {
    let padding = kernel / 2;
    let output = (size + 2 * padding - kernel) / stride + 1;
    Conv {
        batch,
        groups,
        in_channels: inner,
        out_channels: outer,
        input: [size; 2],
        output: [output; 2],
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [1; 2],
        padding: [padding; 2],
        algorithm: Algorithm::BySize,
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let threads = arguments.next().map_or(2, |text| text.parse().expect("a number of threads"));
    let seconds = arguments.next().map_or(0.2, |text| text.parse().expect("seconds"));
    let wanted = arguments.next().unwrap_or_default();
    let device = Device::new(Isa::best(), threads);
    println!("{device:?}; forward, input gradient, weight gradient: GFLOP/s (share of the peak); bias gradient");
    for (name, conv) in [
        ("MNIST first, 64", square(64, 1, 32, 28, 3, 1, 1)),
        ("MNIST second, 64", square(64, 32, 64, 14, 3, 1, 1)),
        ("MNIST first, 1", square(1, 1, 32, 28, 3, 1, 1)),
        ("MNIST second, 1", square(1, 32, 64, 14, 3, 1, 1)),
        ("CIFAR first, 128", square(128, 3, 16, 32, 3, 1, 1)),
        ("ResNet 16 at 32, 128", square(128, 16, 16, 32, 3, 1, 1)),
        ("ResNet 32 at 16, 128", square(128, 32, 32, 16, 3, 1, 1)),
        ("ResNet 64 at 8, 128", square(128, 64, 64, 8, 3, 1, 1)),
        ("ResNet 16-32 by 2, 128", square(128, 16, 32, 32, 3, 2, 1)),
        ("1x1 64-128 at 14, 32", square(32, 64, 128, 14, 1, 1, 1)),
        ("depthwise 64 at 32, 32", square(32, 64, 64, 32, 3, 1, 64)),
        ("VGG 64 at 32, 64", square(64, 64, 64, 32, 3, 1, 1)),
        ("VGG 128 at 16, 64", square(64, 128, 128, 16, 3, 1, 1)),
        ("VGG 256 at 8, 64", square(64, 256, 256, 8, 3, 1, 1)),
        ("8 at 32, 64", square(64, 8, 8, 32, 3, 1, 1)),
        ("8-16 at 32, 64", square(64, 8, 16, 32, 3, 1, 1)),
        ("16-8 at 32, 64", square(64, 16, 8, 32, 3, 1, 1)),
        ("64 at 7, 64", square(64, 64, 64, 7, 3, 1, 1)),
        ("64 at 5, 64", square(64, 64, 64, 5, 3, 1, 1)),
        ("64 at 3, 64", square(64, 64, 64, 3, 3, 1, 1)),
        ("256 at 4, 1", square(1, 256, 256, 4, 3, 1, 1)),
        ("VGG 256 at 28, 4", square(4, 256, 256, 28, 3, 1, 1)),
        ("VGG 64 at 112, 1", square(1, 64, 64, 112, 3, 1, 1)),
        ("512 at 7, 1", square(1, 512, 512, 7, 3, 1, 1)),
        ("512 by 2 to 7, 1", square(1, 512, 512, 14, 3, 2, 1)),
        ("512 by 2 to 7, 8", square(8, 512, 512, 14, 3, 2, 1)),
        ("256 by 2 to 14, 1", square(1, 256, 256, 28, 3, 2, 1)),
        ("128 by 2 to 28, 1", square(1, 128, 128, 56, 3, 2, 1)),
        ("1x1 2048-512 at 7, 1", square(1, 2048, 512, 7, 1, 1, 1)),
        ("1x1 512-2048 at 7, 1", square(1, 512, 2048, 7, 1, 1, 1)),
        ("1x1 1024-256 at 14, 1", square(1, 1024, 256, 14, 1, 1, 1)),
        ("1x1 512-1000 at 13, 1", square(1, 512, 1000, 13, 1, 1, 1)),
        ("SqueezeNet first, 1", Conv { padding: [0; 2], output: [111; 2], ..square(1, 3, 64, 224, 3, 2, 1) }),
        ("ImageNet first, 2", square(2, 3, 64, 224, 7, 2, 1)),
    ]
    .into_iter()
    .filter(|(name, _)| name.contains(&wanted))
    {
        let plain = conv.kernel == [3, 3] && conv.stride == [1, 1] && conv.groups == 1;
        for algorithm in [Algorithm::Direct, Algorithm::Winograd] {
            if plain || algorithm == Algorithm::Direct {
                let name = if algorithm == Algorithm::Direct { name } else { "  Winograd" };
                rates(&device, name, &Conv { algorithm, ..conv }, seconds);
            }
        }
    }
}

fn rates(device: &Device, name: &str, conv: &Conv, seconds: f64) {
    let x = vec![0.5; conv.batch * conv.in_channels * conv.input[0] * conv.input[1]];
    let w = vec![0.25; conv.weights()];
    let mut y = vec![0.0; conv.batch * conv.out_channels * conv.output[0] * conv.output[1]];
    let dy = vec![0.125; y.len()];
    let (mut dx, mut dw, mut db) = (x.clone(), w.clone(), vec![0.0; conv.out_channels]);
    let mut scratch = vec![0.0; forward_scratch(conv)];
    let packed = pack(device, conv, &w);
    let weights = packed.as_ref().map_or(Weights::Plain(&w), Weights::Packed);
    let first = best(seconds, || forward(device, conv, &x, weights, After::default(), &mut y, &mut scratch));
    let mut scratch = vec![0.0; input_gradient_scratch(conv)];
    let second = best(seconds, || input_gradient(device, conv, &dy, &w, After::default(), &mut dx, &mut scratch));
    print!("{name:24}");
    let print = |time: f64| {
        let rate = 2.0 * conv.multiply_adds() as f64 / time / 1e9;
        print!(" {rate:7.1} ({:3.0} %) {:8.1} µs", 100.0 * rate / PEAK / device.threads() as f64, time * 1e6);
    };
    print(first);
    print(second);
    if conv.algorithm == Algorithm::Direct {
        let mut scratch = vec![0.0; weight_gradient_scratch(conv)];
        print(best(seconds, || weight_gradient(device, conv, &x, &dy, &mut dw, &mut scratch)));
        print!(" {:8.1} µs", best(seconds, || bias_gradient(device, conv.batch, &dy, &mut db)) * 1e6);
    }
    println!();
}

/// The least time of a call within `budget` seconds.
fn best(budget: f64, mut call: impl FnMut()) -> f64 {
    call();
    let begun = Instant::now();
    let mut best = f64::INFINITY;
    while begun.elapsed().as_secs_f64() < budget {
        let start = Instant::now();
        call();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}
