//! A BERT model that is ready to run: one text at a time, on the thread that calls.

use std::ops::Range;
use std::sync::Arc;

use rten::{Model, NodeId, RunOptions, ThreadPool, Value, ValueOrView};

use super::wordpiece::{Encoding, WordPiece};

/// A model with its vocabulary.
pub struct Encoder {
    model: Model,
    words: WordPiece,
    inputs: Vec<(NodeId, Input)>,
    output: NodeId,
    tokens: usize,
}

/// What an input of the model is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Ids,
    Mask,
    Types,
}

/// Vectors of the tokens of a text, without the model's own first and last one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenVectors {
    /// One vector of length 1 for each token, side by side.
    pub vectors: Vec<f32>,
    /// Numbers of one vector.
    pub width: usize,
    /// Bytes of the text that each token stands for.
    pub spans: Vec<Range<usize>>,
}

impl TokenVectors {
    /// The vector of a token.
    pub fn get(&self, token: usize) -> &[f32] {
        &self.vectors[token * self.width..(token + 1) * self.width]
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Encoder").field("inputs", &self.inputs).field("tokens", &self.tokens).finish_non_exhaustive()
    }
}

impl Encoder {
    /// Of an ONNX file's bytes.
    pub fn new(model: Vec<u8>, words: WordPiece, tokens: usize) -> Result<Self, String> {
        let model = Model::load(model).map_err(|fault| format!("the model cannot be read: {fault}"))?;
        let mut inputs = Vec::new();
        for id in model.input_ids() {
            let name = model.node_info(*id).and_then(|node| node.name().map(str::to_owned)).unwrap_or_default();
            let input = match name.as_str() {
                "input_ids" => Input::Ids,
                "attention_mask" => Input::Mask,
                "token_type_ids" => Input::Types,
                other => return Err(format!("the model wants an input {other:?}, which is not known here")),
            };
            inputs.push((*id, input));
        }
        let output = *model.output_ids().first().ok_or("the model has no output")?;
        Ok(Self { model, words, inputs, output, tokens })
    }

    /// The vector of a text, of length 1: the mean of its tokens' vectors.
    pub fn embed(&self, text: &str, pool: &Arc<ThreadPool>) -> Result<Vec<f32>, String> {
        let encoding = self.words.encode(text, self.tokens);
        let (numbers, width) = self.run(&encoding, encoding.ids.len(), pool)?;
        let mut mean = vec![0.0; width];
        for token in numbers.chunks_exact(width) {
            mean.iter_mut().zip(token).for_each(|(sum, number)| *sum += number);
        }
        to_length_one(&mut mean);
        Ok(mean)
    }

    /// The vectors of a text's tokens.
    pub fn token_vectors(&self, text: &str, pool: &Arc<ThreadPool>) -> Result<TokenVectors, String> {
        let encoding = self.words.encode(text, self.tokens);
        let (mut numbers, width) = self.run(&encoding, encoding.ids.len(), pool)?;
        numbers.chunks_exact_mut(width).for_each(to_length_one);
        let last = encoding.ids.len() - 1;
        Ok(TokenVectors {
            vectors: numbers[width..last * width].to_vec(),
            width,
            spans: encoding.spans[1..last].to_vec(),
        })
    }

    /// Decision values of a classifier over a pair of texts.
    pub fn classify(&self, a: &str, b: &str, pool: &Arc<ThreadPool>) -> Result<Vec<f32>, String> {
        let (encoding, begins) = self.words.encode_pair(a, b, self.tokens);
        Ok(self.run(&encoding, begins, pool)?.0)
    }

    /// Numbers of the first output, and how many belong together.
    fn run(&self, encoding: &Encoding, second: usize, pool: &Arc<ThreadPool>) -> Result<(Vec<f32>, usize), String> {
        let length = encoding.ids.len();
        let fill = |(node, input): &(NodeId, Input)| {
            let numbers: Vec<i32> = match input {
                Input::Ids => encoding.ids.iter().map(|id| *id as i32).collect(),
                Input::Mask => vec![1; length],
                Input::Types => (0..length).map(|at| i32::from(at >= second)).collect(),
            };
            let value = Value::from_shape(&[1, length], numbers).map_err(|fault| fault.to_string())?;
            Ok((*node, ValueOrView::from(value)))
        };
        let inputs: Result<Vec<(NodeId, ValueOrView)>, String> = self.inputs.iter().map(fill).collect();
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(pool)));
        let mut outputs = self.model.run(inputs?, &[self.output], Some(options)).map_err(|fault| fault.to_string())?;
        let output = outputs.pop().ok_or("the model gave nothing")?;
        let Value::FloatTensor(tensor) = output else { return Err("the model gave no numbers".to_owned()) };
        let numbers = tensor.into_data();
        if numbers.is_empty() || numbers.iter().any(|number| !number.is_finite()) {
            return Err("the model gave numbers that are none".to_owned());
        }
        let width = numbers.len() / length.max(1);
        Ok((numbers, width.max(1)))
    }
}

fn to_length_one(vector: &mut [f32]) {
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    vector.iter_mut().for_each(|number| *number /= length);
}
