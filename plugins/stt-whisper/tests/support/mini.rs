//! A Whisper of 16 numbers a layer, written as CTranslate2 writes the real ones: it understands nothing and says
//! something, always the same. For whatever has to be true of any model.

// Taken in as a module by several tests, each of which uses a part of it.
#![allow(dead_code, unreachable_pub)]

use std::path::Path;

const WIDTH: u32 = 16;

/// The tokens: letters, then the signals in Whisper's order.
pub fn vocabulary() -> String {
    let letters = ('a'..='z').map(String::from);
    let signals = [
        "endoftext",
        "startoftranscript",
        "en",
        "es",
        "translate",
        "transcribe",
        "nospeech",
        "notimestamps",
        "0.00",
    ];
    let all = letters.chain(signals.map(|name| format!("<|{name}|>")));
    all.map(|token| token + "\n").collect()
}

/// A `model.bin`, its weights drawn by a small generator.
pub fn weights() -> Vec<u8> {
    let mut arrays: Vec<(String, Vec<u32>)> = Vec::new();
    let mut put = |name: String, shape: &[u32]| arrays.push((name, shape.to_vec()));
    let tokens = vocabulary().lines().count() as u32;
    put("encoder/conv1/weight".into(), &[WIDTH, 80, 3]);
    put("encoder/conv1/bias".into(), &[WIDTH]);
    put("encoder/conv2/weight".into(), &[WIDTH, WIDTH, 3]);
    put("encoder/conv2/bias".into(), &[WIDTH]);
    put(
        "encoder/position_encodings/encodings".into(),
        &[1500, WIDTH],
    );
    put("decoder/position_encodings/encodings".into(), &[64, WIDTH]);
    put("decoder/embeddings/weight".into(), &[tokens, WIDTH]);
    for half in ["encoder", "decoder"] {
        let mut norm = |name: String| {
            put(format!("{name}/gamma"), &[WIDTH]);
            put(format!("{name}/beta"), &[WIDTH]);
        };
        norm(format!("{half}/layer_norm"));
        norm(format!("{half}/layer_0/ffn/layer_norm"));
        norm(format!("{half}/layer_0/self_attention/layer_norm"));
        if half == "decoder" {
            norm("decoder/layer_0/attention/layer_norm".into());
        }
        let mut linear = |name: &str, outputs: u32, inputs: u32| {
            put(format!("{half}/layer_0/{name}/weight"), &[outputs, inputs]);
            put(format!("{half}/layer_0/{name}/bias"), &[outputs]);
        };
        linear("ffn/linear_0", 4 * WIDTH, WIDTH);
        linear("ffn/linear_1", WIDTH, 4 * WIDTH);
        linear("self_attention/linear_0", 3 * WIDTH, WIDTH);
        linear("self_attention/linear_1", WIDTH, WIDTH);
        if half == "decoder" {
            linear("attention/linear_0", WIDTH, WIDTH);
            linear("attention/linear_1", 2 * WIDTH, WIDTH);
            linear("attention/linear_2", WIDTH, WIDTH);
        }
    }
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let mut file = head(arrays.len() as u32 + 2);
    for (name, shape) in &arrays {
        let count: u32 = shape.iter().product();
        let data: Vec<u8> = (0..count).flat_map(|_| next().to_le_bytes()).collect();
        array(&mut file, name, shape, 0, &data);
    }
    for half in ["encoder", "decoder"] {
        array(
            &mut file,
            &format!("{half}/num_heads"),
            &[],
            2,
            &2i16.to_le_bytes(),
        );
    }
    file.extend(1u32.to_le_bytes());
    string(&mut file, "decoder/projection/weight");
    string(&mut file, "decoder/embeddings/weight");
    file
}

/// What stands before `count` arrays.
pub fn head(count: u32) -> Vec<u8> {
    let mut file = 6u32.to_le_bytes().to_vec();
    string(&mut file, "WhisperSpec");
    file.extend(3u32.to_le_bytes());
    file.extend(count.to_le_bytes());
    file
}

/// Appends an array.
pub fn array(file: &mut Vec<u8>, name: &str, shape: &[u32], kind: u8, data: &[u8]) {
    string(file, name);
    file.push(shape.len() as u8);
    file.extend(shape.iter().flat_map(|dimension| dimension.to_le_bytes()));
    file.push(kind);
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
}

fn string(file: &mut Vec<u8>, text: &str) {
    file.extend((text.len() as u16 + 1).to_le_bytes());
    file.extend(text.as_bytes());
    file.push(0);
}

/// Writes the model into a folder.
pub fn write(folder: &Path) -> std::io::Result<()> {
    std::fs::write(folder.join("model.bin"), weights())?;
    std::fs::write(folder.join("vocabulary.txt"), vocabulary())
}
