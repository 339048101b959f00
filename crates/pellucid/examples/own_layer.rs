//! A layer of one's own, in Rust and in the notation.

use std::sync::Arc;

use kernels::device::Device;
use kernels::simd::Isa;
use pellucid::graph::{BuildError, GraphBuilder, Parameters, PlanOptions, Session, ValueId};
use pellucid::nn::notation::{Item, Network};
use pellucid::nn::{Dense, Init, Layer, LayerTable, NetworkOptions};
use pellucid::ops::{Add, Multiply, Relu, Sigmoid, Subtract};

/// Highway layer: y = x + t(x)·(h(x) - x), where the gate t decides how much of x is replaced by h (Srivastava, Greff and
/// Schmidhuber, 2015). In the notation: `highway`, or `highway -3` for another bias of the gate to begin with.
#[derive(Clone, Debug)]
struct Highway {
    /// The less, the more of x goes through at the beginning.
    gate_bias: f32,
}

impl Layer for Highway {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let units = builder.shape(x).last().unwrap_or(1);
        let transform = Dense { units, ..Dense::default() };
        let gate = Dense { units, bias_init: Init::Constant(self.gate_bias), ..Dense::default() };
        let h = builder.scoped("transform", |builder| transform.build(builder, x))?;
        let h = builder.add(Relu, &[h])?;
        let t = builder.scoped("gate", |builder| gate.build(builder, x))?;
        let t = builder.add(Sigmoid, &[t])?;
        let change = builder.add(Subtract, &[h, x])?;
        let change = builder.add(Multiply, &[change, t])?;
        builder.add(Add, &[x, change])
    }

    fn to_notation(&self) -> Option<Item> {
        Some(Item::new("highway").with(f64::from(self.gate_bias)))
    }
}

/// Builds a network with the word, and checks names, printing, and that closed gates let everything through.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let table = LayerTable::standard().with("highway", |read, _| {
        let gate_bias = read.optional_number("bias of the gate")?.unwrap_or(-1.0) as f32;
        Ok(Highway { gate_bias })
    });
    let options = NetworkOptions { table, ..NetworkOptions::default() };
    let built = options.build(&Network::parse("2 * highway -100")?, &[3])?;
    let graph = Arc::new(built.graph);
    let names: Vec<&str> = graph.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
    assert_eq!(names[..3], ["0.transform.weight", "0.transform.bias", "0.gate.weight"]);
    assert_eq!(names[7], "1.gate.bias");
    assert_eq!(built.layers.to_notation().map(|network| network.to_string()).as_deref(), Some("2 * highway -100"));

    let device = Arc::new(Device::new(Isa::best(), 1));
    let parameters = Parameters::initialise(&graph, &device, 1);
    let mut session = Session::new(graph.clone(), device, parameters, 1);
    let plan = session.plan(&PlanOptions { batch: 1, outputs: graph.outputs(), ..PlanOptions::default() })?;
    let (x, y) = (graph.inputs()[0].value, graph.outputs()[0]);
    session.input_mut(plan, x).copy_from_slice(&[0.5, -1.0, 2.0]);
    session.forward(plan, 0);
    assert_eq!(session.value(plan, y), [0.5, -1.0, 2.0]);

    let error = options.build(&Network::parse("dense 4 relu -> higway")?, &[3]).expect_err("a slip of the finger");
    assert!(error.render().contains("did you mean 'highway'?"), "{}", error.render());
    Ok(())
}
