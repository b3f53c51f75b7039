//! The network: a spectrogram in, how likely the caller has finished out. Nothing is known of its inside but the shapes
//! at its two ends, and these are tried when it is opened.

use std::path::Path;
use std::sync::Arc;

use rten::{Model, RunOptions, ThreadPool};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensorView, Tensor};

use crate::mel::{BANDS, FRAMES, Mel};

/// The model, with what it needs to hear.
pub(crate) struct SmartTurn {
    model: Model,
    options: RunOptions,
    mel: Mel,
}

impl SmartTurn {
    /// To be made on the thread that asks it: the threads it computes on get that one's priority.
    ///
    /// # Errors
    /// A sentence: there is no such file, or it is another model.
    pub(crate) fn open(path: &Path, threads: usize) -> Result<SmartTurn, String> {
        let shown = path.display();
        let bytes =
            std::fs::read(path).map_err(|e| format!("cannot read the model {shown}: {e}"))?;
        let model = Model::load(bytes).map_err(|e| {
            format!(
                "{shown} is no ONNX model that can be run; smart-turn-v3.2-cpu.onnx is one: {e}"
            )
        })?;
        let pool = Arc::new(ThreadPool::with_num_threads(threads));
        let mut model = SmartTurn {
            model,
            options: RunOptions::default().with_thread_pool(Some(pool)),
            mel: Mel::new(),
        };
        model
            .finished(&[])
            .map_err(|e| format!("{shown} is another model than Smart Turn v3: {e}"))?;
        Ok(model)
    }

    /// How likely somebody has finished who was heard like this up to his pause: from 0 to 1.
    ///
    /// # Errors
    /// What the network says of itself.
    pub(crate) fn finished(&mut self, sound: &[i16]) -> Result<f32, String> {
        let mel = self.mel.of(sound);
        let input = NdTensorView::from_data([1, BANDS, FRAMES], mel.as_slice());
        let output = self
            .model
            .run_one(input.into(), Some(self.options.clone()))
            .map_err(|e| e.to_string())?;
        let output: Tensor<f32> = output
            .try_into()
            .map_err(|_| "it answers no number".to_owned())?;
        match output.iter().next() {
            Some(likely) if output.len() == 1 && (0.0..=1.0).contains(likely) => Ok(*likely),
            _ => Err(format!(
                "it answers {} numbers where one from 0 to 1 is awaited",
                output.len()
            )),
        }
    }
}
