//! `pellucid generate`: a model of text writes on.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;

use kernels::device::Device;
use pellucid::data::text::Tokenizer;
use pellucid::generate::{Generator, Sampler};
use pellucid::model::{Model, Preprocessing};

use crate::args::GenerateArgs;
use crate::device::device;
use crate::error::{Failure, Outcome};
use crate::run_folder::model_path;
use crate::trained::open_model;

/// Writes the prompt and what follows it, piece by piece.
pub fn run(arguments: &GenerateArgs) -> Outcome<()> {
    let model = open_model(&model_path(&arguments.model))?;
    let device = device(arguments.isa.as_deref(), arguments.threads)?;
    let sampler = Sampler {
        temperature: arguments.temperature,
        top_k: arguments.top_k,
        top_p: arguments.top_p,
        seed: arguments.seed,
    };
    sampler.check()?;
    let mut writer = Writer::new(&model, device, arguments.prompt.as_deref())?;
    let mut out = io::stdout().lock();
    let mut show = |bytes: &[u8]| out.write_all(bytes).and_then(|()| out.flush());
    let shown = show(arguments.prompt.as_deref().unwrap_or_default().as_bytes())
        .and_then(|()| writer.write(&sampler, arguments.length, &mut show))
        .and_then(|()| show(b"\n"));
    match shown {
        // A reader that has gone away (`| head`) is no error.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// A model of text that has read a prompt.
pub struct Writer {
    generator: Generator,
    /// The bytes of every token.
    bytes: Vec<Vec<u8>>,
    /// The logits of the next token.
    next: Vec<f32>,
}

impl Writer {
    /// Reads `prompt`; without one, what is written begins like a new line.
    ///
    /// # Errors
    /// A model of something else, a network that cannot write on, a prompt with unknown characters.
    pub fn new(model: &Model, device: Arc<Device>, prompt: Option<&str>) -> Outcome<Writer> {
        let Preprocessing::Text { tokenizer, .. } = &model.preprocessing else {
            let task = model.task.name();
            return Err(Failure::new(format!("the model does not write texts, its task is {task}; use predict")));
        };
        let mut generator = Generator::new(model.graph.clone(), model.parameters.clone(), device)?;
        let tokens = tokens_of(tokenizer, prompt)?;
        let next = generator.read(&tokens).to_vec();
        Ok(Writer { generator, bytes: tokenizer.bytes(), next })
    }

    /// Writes `length` tokens.
    ///
    /// # Errors
    /// What `show` gives.
    pub fn write(
        &mut self,
        sampler: &Sampler,
        length: u64,
        mut show: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        for position in 0..length {
            let token = sampler.draw(&self.next, position);
            show(&self.bytes[token as usize])?;
            if position + 1 < length {
                self.next.copy_from_slice(self.generator.read(&[token]));
            }
        }
        Ok(())
    }
}

fn tokens_of(tokenizer: &Tokenizer, prompt: Option<&str>) -> Outcome<Vec<u32>> {
    let no_beginning = "the model knows no line break to begin behind; give it a beginning with --prompt";
    let tokens = match prompt.filter(|prompt| !prompt.is_empty()) {
        Some(prompt) => tokenizer.encode(prompt).map_err(|error| Failure::new(format!("--prompt: {error}")))?,
        None => tokenizer.encode("\n").map_err(|_| Failure::new(no_beginning))?,
    };
    // To the tokenizers of others, white space need not be one.
    if tokens.is_empty() { Err(Failure::new(no_beginning)) } else { Ok(tokens) }
}
