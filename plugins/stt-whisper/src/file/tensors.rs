//! Weights by name, to be taken out by whoever knows the shape they must have.

use std::collections::HashMap;
use std::path::PathBuf;

use super::FileError;

/// Numbers with their shape, the last dimension side by side.
#[derive(Debug, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<f32>,
}

/// All weights of a model.
#[derive(Debug, Default)]
pub(crate) struct Tensors {
    path: PathBuf,
    named: HashMap<String, Tensor>,
}

impl Tensors {
    pub(crate) fn insert(&mut self, name: String, tensor: Tensor) {
        self.named.insert(name, tensor);
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Tensor> {
        self.named.get_mut(name)
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Tensor> {
        self.named.remove(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.named.keys().map(String::as_str)
    }

    /// The file to name when something is missing.
    pub(crate) fn read_from(mut self, path: PathBuf) -> Tensors {
        self.path = path;
        self
    }

    /// The shape of a tensor with so many dimensions.
    pub(crate) fn shape<const N: usize>(&self, name: &str) -> Result<[usize; N], FileError> {
        let tensor = self.named.get(name).ok_or_else(|| self.lacks(name))?;
        let shape = <[usize; N]>::try_from(tensor.shape.as_slice());
        shape.map_err(|_| {
            self.unusable(format!(
                "`{name}` has the shape {:?} where {N} dimensions were expected",
                tensor.shape
            ))
        })
    }

    /// The numbers of a tensor, which has to have this shape.
    pub(crate) fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, FileError> {
        match self.named.remove(name) {
            Some(tensor) if tensor.shape == shape => Ok(tensor.data),
            Some(tensor) => Err(self.unusable(format!(
                "`{name}` has the shape {:?}, not {shape:?}",
                tensor.shape
            ))),
            None => Err(self.lacks(name)),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.named.contains_key(name)
    }

    /// A single number, if it is there.
    pub(crate) fn number(&self, name: &str) -> Option<f32> {
        self.named
            .get(name)
            .and_then(|tensor| tensor.data.first().copied())
    }

    fn lacks(&self, name: &str) -> FileError {
        self.unusable(format!(
            "it lacks `{name}`; a Whisper model converted by CTranslate2 is needed"
        ))
    }

    pub(crate) fn unusable(&self, why: String) -> FileError {
        FileError::Unusable {
            path: self.path.clone(),
            what: "Whisper model",
            why,
        }
    }
}
