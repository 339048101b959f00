//! Pickles of PyTorch, read as data: the opcodes that build numbers, texts, tuples, lists and dictionaries, and the few names
//! that a state dictionary needs, each with the one meaning written down here. No other name is looked up, nothing is run.
//!
//! A pickle is a program for a stack machine (`pickletools` of Python documents its opcodes). Here each opcode makes a bounded
//! number of values, which are copies of places; lists and dictionaries lie in one arena, so that neither depth nor cycles
//! nor repetition can cost more than a constant for each byte of the pickle.

use std::collections::HashMap;

use safetensors::Dtype;

use super::error::Problem;
use super::tensor::check_strides;

/// Longest pickle: PyTorch needs some hundred bytes for a tensor, and a byte can cost fifty here.
pub(super) const MAX_PICKLE: usize = 4 << 20;

/// Most axes of a tensor.
const MAX_RANK: usize = 16;

/// What a pickle makes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// None, a truth value, a fraction, bytes, or an object without a meaning here.
    Other,
    Int(i64),
    Text(&'a str),
    /// A tuple or a list: its place among the sequences.
    Sequence(usize),
    /// Its place among the dictionaries.
    Dict(usize),
    Name(Name),
    /// Its place among the storages.
    Storage(usize),
    /// Its place among the tensors.
    Tensor(usize),
}

/// A name that a state dictionary may need.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Name {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    /// A type of storage.
    StorageOf(Dtype),
    Size,
    Device,
}

/// Values that tensors look at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Storage<'a> {
    pub dtype: Dtype,
    /// Name of its file in the archive.
    pub key: &'a str,
    /// How many there are.
    pub count: usize,
}

/// A view of a storage.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    pub storage: usize,
    /// Values of the storage before its first.
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// Everything that a pickle made.
#[derive(Debug, Default)]
pub(super) struct Objects<'a> {
    pub sequences: Vec<Vec<Value<'a>>>,
    pub dicts: Vec<Vec<(Value<'a>, Value<'a>)>>,
    pub storages: Vec<Storage<'a>>,
    pub tensors: Vec<Tensor>,
}

/// Reads a pickle: all that it makes, and what it is.
pub(super) fn read(bytes: &[u8]) -> Result<(Objects<'_>, Value<'_>), Problem> {
    let machine = Machine {
        bytes,
        at: 0,
        op: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        objects: Objects::default(),
    };
    machine.run()
}

fn known(module: &str, name: &str) -> Option<Name> {
    Some(match (module, name) {
        ("collections", "OrderedDict") => Name::OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2") => Name::RebuildTensor,
        ("torch._utils", "_rebuild_parameter") => Name::RebuildParameter,
        ("torch", "Size") => Name::Size,
        ("torch", "device") => Name::Device,
        ("torch", "DoubleStorage") => Name::StorageOf(Dtype::F64),
        ("torch", "FloatStorage") => Name::StorageOf(Dtype::F32),
        ("torch", "HalfStorage") => Name::StorageOf(Dtype::F16),
        ("torch", "BFloat16Storage") => Name::StorageOf(Dtype::BF16),
        ("torch", "LongStorage") => Name::StorageOf(Dtype::I64),
        ("torch", "IntStorage") => Name::StorageOf(Dtype::I32),
        ("torch", "ShortStorage") => Name::StorageOf(Dtype::I16),
        ("torch", "CharStorage") => Name::StorageOf(Dtype::I8),
        ("torch", "ByteStorage") => Name::StorageOf(Dtype::U8),
        ("torch", "BoolStorage") => Name::StorageOf(Dtype::BOOL),
        _ => return None,
    })
}

struct Machine<'a> {
    bytes: &'a [u8],
    /// The next byte.
    at: usize,
    /// Where the opcode stands that is being done.
    op: usize,
    stack: Vec<Value<'a>>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'a>>,
    objects: Objects<'a>,
}

impl<'a> Machine<'a> {
    fn run(mut self) -> Result<(Objects<'a>, Value<'a>), Problem> {
        loop {
            self.op = self.at;
            let opcode = self.byte()?;
            match opcode {
                // PROTO
                0x80 => match self.byte()? {
                    2..=5 => {}
                    version => return Err(self.wrong(format!("protocol {version} is not one of PyTorch's"))),
                },
                // FRAME: how many bytes may be read at once.
                0x95 => drop(self.take(8)?),
                // STOP
                b'.' => {
                    let value = self.pop()?;
                    if self.at != self.bytes.len() || !self.stack.is_empty() || !self.marks.is_empty() {
                        return Err(self.wrong("it ends before its data do".to_string()));
                    }
                    return Ok((self.objects, value));
                }
                // NONE, NEWTRUE, NEWFALSE
                b'N' | 0x88 | 0x89 => self.stack.push(Value::Other),
                // BINFLOAT
                b'G' => {
                    self.take(8)?;
                    self.stack.push(Value::Other);
                }
                // BININT1, BININT2, BININT
                b'K' => {
                    let value = self.byte()?;
                    self.stack.push(Value::Int(value.into()));
                }
                b'M' => {
                    let value = u16::from_le_bytes(self.array()?);
                    self.stack.push(Value::Int(value.into()));
                }
                b'J' => {
                    let value = i32::from_le_bytes(self.array()?);
                    self.stack.push(Value::Int(value.into()));
                }
                // LONG1, LONG4: little-endian in two's complement, of any length.
                0x8a => {
                    let length = self.byte()?.into();
                    self.long(length)?;
                }
                0x8b => {
                    let length = self.length4()?;
                    self.long(length)?;
                }
                // BINUNICODE, SHORT_BINUNICODE, BINUNICODE8, and the strings of Python 2: BINSTRING, SHORT_BINSTRING
                b'X' | b'T' => {
                    let length = self.length4()?;
                    self.text(length)?;
                }
                0x8c | b'U' => {
                    let length = self.byte()?.into();
                    self.text(length)?;
                }
                0x8d => {
                    let length = self.length8()?;
                    self.text(length)?;
                }
                // BINBYTES, SHORT_BINBYTES, BINBYTES8, BYTEARRAY8
                b'B' => {
                    let length = self.length4()?;
                    self.skip(length)?;
                }
                b'C' => {
                    let length = self.byte()?.into();
                    self.skip(length)?;
                }
                0x8e | 0x96 => {
                    let length = self.length8()?;
                    self.skip(length)?;
                }
                // MARK
                b'(' => self.marks.push(self.stack.len()),
                // POP, POP_MARK, DUP
                b'0' => drop(self.pop()?),
                b'1' => drop(self.since_mark()?),
                b'2' => {
                    let value = self.pop()?;
                    self.stack.extend([value, value]);
                }
                // EMPTY_TUPLE, EMPTY_LIST, EMPTY_DICT
                b')' | b']' => self.sequence(Vec::new()),
                b'}' => self.dict(Vec::new()),
                // TUPLE1, TUPLE2, TUPLE3
                0x85..=0x87 => {
                    let mut values = Vec::new();
                    for _ in 0..=opcode - 0x85 {
                        values.push(self.pop()?);
                    }
                    values.reverse();
                    self.sequence(values);
                }
                // TUPLE, LIST
                b't' | b'l' => {
                    let values = self.since_mark()?;
                    self.sequence(values);
                }
                // DICT
                b'd' => {
                    let values = self.since_mark()?;
                    let pairs = self.pairs(values)?;
                    self.dict(pairs);
                }
                // APPEND, APPENDS
                b'a' => {
                    let value = self.pop()?;
                    let list = self.top_sequence()?;
                    list.push(value);
                }
                b'e' => {
                    let values = self.since_mark()?;
                    let list = self.top_sequence()?;
                    list.extend(values);
                }
                // SETITEM, SETITEMS
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    let dict = self.top_dict()?;
                    dict.push((key, value));
                }
                b'u' => {
                    let values = self.since_mark()?;
                    let pairs = self.pairs(values)?;
                    let dict = self.top_dict()?;
                    dict.extend(pairs);
                }
                // BINPUT, LONG_BINPUT, MEMOIZE
                b'q' => {
                    let index = self.byte()?.into();
                    self.memorise(index)?;
                }
                b'r' => {
                    let index = u32::from_le_bytes(self.array()?);
                    self.memorise(index)?;
                }
                0x94 => {
                    let index = self.memo.len() as u32;
                    self.memorise(index)?;
                }
                // BINGET, LONG_BINGET
                b'h' => {
                    let index = self.byte()?.into();
                    self.recall(index)?;
                }
                b'j' => {
                    let index = u32::from_le_bytes(self.array()?);
                    self.recall(index)?;
                }
                // GLOBAL, STACK_GLOBAL
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.name(module, name)?;
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?);
                    let (Value::Text(module), Value::Text(name)) = (module, name) else {
                        return Err(self.wrong("a name that is no text".to_string()));
                    };
                    self.name(module, name)?;
                }
                // BINPERSID, REDUCE, BUILD
                b'Q' => {
                    let value = self.pop()?;
                    let storage = self.storage(value)?;
                    self.stack.push(storage);
                }
                b'R' => {
                    let (arguments, function) = (self.pop()?, self.pop()?);
                    let value = self.call(function, arguments)?;
                    self.stack.push(value);
                }
                b'b' => {
                    // The attributes of a dictionary or tensor: `_metadata`, which says versions of modules.
                    self.pop()?;
                    let object = self.pop()?;
                    if !matches!(object, Value::Dict(_) | Value::Tensor(_)) {
                        return Err(self.wrong("attributes of something that has none".to_string()));
                    }
                    self.stack.push(object);
                }
                // INST, OBJ, NEWOBJ, NEWOBJ_EX, EXT1, EXT2, EXT4
                b'i' | b'o' | 0x81 | 0x92 | 0x82..=0x84 => {
                    return Err(Problem::Code { at: self.op, wanted: "the constructor of a class".to_string() });
                }
                other => return Err(self.wrong(format!("the opcode {other:#04x} is not one of a state dictionary"))),
            }
        }
    }

    fn wrong(&self, message: String) -> Problem {
        Problem::Pickle { at: self.op, message }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Problem> {
        let rest = &self.bytes[self.at..];
        let taken =
            rest.get(..length).ok_or_else(|| self.wrong("it is cut off here; copy the file again".to_string()))?;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        Ok(*self.take(N)?.first_chunk().expect("as many as were taken"))
    }

    fn byte(&mut self) -> Result<u8, Problem> {
        self.array().map(|[byte]| byte)
    }

    fn length4(&mut self) -> Result<usize, Problem> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn length8(&mut self) -> Result<usize, Problem> {
        // Beyond the address space is beyond the file too.
        Ok(usize::try_from(u64::from_le_bytes(self.array()?)).unwrap_or(usize::MAX))
    }

    fn line(&mut self) -> Result<&'a str, Problem> {
        let length = self.bytes[self.at..].iter().position(|&byte| byte == b'\n');
        let line = self.take(length.unwrap_or(usize::MAX))?;
        self.take(1)?;
        self.utf8(line)
    }

    fn utf8(&self, bytes: &'a [u8]) -> Result<&'a str, Problem> {
        std::str::from_utf8(bytes).map_err(|_| self.wrong("a text that is no UTF-8".to_string()))
    }

    fn text(&mut self, length: usize) -> Result<(), Problem> {
        let bytes = self.take(length)?;
        let text = self.utf8(bytes)?;
        self.stack.push(Value::Text(text));
        Ok(())
    }

    fn skip(&mut self, length: usize) -> Result<(), Problem> {
        self.take(length)?;
        self.stack.push(Value::Other);
        Ok(())
    }

    fn long(&mut self, length: usize) -> Result<(), Problem> {
        let bytes = self.take(length)?;
        let value = if length > 8 {
            Value::Other
        } else {
            let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
            let mut whole = [if negative { 0xff } else { 0 }; 8];
            whole[..length].copy_from_slice(bytes);
            Value::Int(i64::from_le_bytes(whole))
        };
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<Value<'a>, Problem> {
        // What lies below a mark belongs to someone else.
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.pop() {
            Some(value) if self.stack.len() >= floor => Ok(value),
            _ => Err(self.wrong("it takes a value where there is none".to_string())),
        }
    }

    fn since_mark(&mut self) -> Result<Vec<Value<'a>>, Problem> {
        let mark =
            self.marks.pop().ok_or_else(|| self.wrong("it goes back to a mark that is not there".to_string()))?;
        Ok(self.stack.split_off(mark))
    }

    fn sequence(&mut self, values: Vec<Value<'a>>) {
        self.stack.push(Value::Sequence(self.objects.sequences.len()));
        self.objects.sequences.push(values);
    }

    fn dict(&mut self, pairs: Vec<(Value<'a>, Value<'a>)>) {
        self.stack.push(Value::Dict(self.objects.dicts.len()));
        self.objects.dicts.push(pairs);
    }

    fn pairs(&self, values: Vec<Value<'a>>) -> Result<Vec<(Value<'a>, Value<'a>)>, Problem> {
        let (pairs, []) = values.as_chunks::<2>() else {
            return Err(self.wrong("a dictionary has a key without a value".to_string()));
        };
        Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
    }

    fn top_sequence(&mut self) -> Result<&mut Vec<Value<'a>>, Problem> {
        match self.stack.last() {
            Some(Value::Sequence(index)) => Ok(&mut self.objects.sequences[*index]),
            _ => Err(self.wrong("it adds to a list that is none".to_string())),
        }
    }

    fn top_dict(&mut self) -> Result<&mut Vec<(Value<'a>, Value<'a>)>, Problem> {
        match self.stack.last() {
            Some(Value::Dict(index)) => Ok(&mut self.objects.dicts[*index]),
            _ => Err(self.wrong("it adds to a dictionary that is none".to_string())),
        }
    }

    fn memorise(&mut self, index: u32) -> Result<(), Problem> {
        let value =
            *self.stack.last().ok_or_else(|| self.wrong("it remembers a value where there is none".to_string()))?;
        self.memo.insert(index, value);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Result<(), Problem> {
        let value = self.memo.get(&index).copied();
        self.stack
            .push(value.ok_or_else(|| self.wrong(format!("it recalls value {index}, which it has not remembered")))?);
        Ok(())
    }

    fn name(&mut self, module: &str, name: &str) -> Result<(), Problem> {
        match known(module, name) {
            Some(name) => {
                self.stack.push(Value::Name(name));
                Ok(())
            }
            None => {
                let short = |text: &str| text.chars().take(100).collect::<String>();
                Err(Problem::Code { at: self.op, wanted: format!("{}.{}", short(module), short(name)) })
            }
        }
    }

    fn items(&self, value: Value<'a>) -> Option<&[Value<'a>]> {
        match value {
            Value::Sequence(index) => Some(&self.objects.sequences[index]),
            _ => None,
        }
    }

    /// `('storage', torch.FloatStorage, '0', 'cpu', 6)`: type, file, device, number of values.
    fn storage(&mut self, value: Value<'a>) -> Result<Value<'a>, Problem> {
        let storage = match self.items(value) {
            Some(
                &[
                    Value::Text("storage"),
                    Value::Name(Name::StorageOf(dtype)),
                    Value::Text(key),
                    Value::Text(_),
                    Value::Int(count),
                    ..,
                ],
            ) => usize::try_from(count).ok().map(|count| Storage { dtype, key, count }),
            _ => None,
        };
        let storage =
            storage.ok_or_else(|| self.wrong("a storage that is not written as PyTorch writes it".to_string()))?;
        self.objects.storages.push(storage);
        Ok(Value::Storage(self.objects.storages.len() - 1))
    }

    fn call(&mut self, function: Value<'a>, arguments: Value<'a>) -> Result<Value<'a>, Problem> {
        let (Value::Name(name), Some(items)) = (function, self.items(arguments)) else {
            return Err(self.wrong("it calls something that is no function".to_string()));
        };
        let value = match (name, items) {
            (Name::OrderedDict, []) => {
                self.objects.dicts.push(Vec::new());
                Some(Value::Dict(self.objects.dicts.len() - 1))
            }
            (Name::RebuildParameter, [tensor @ Value::Tensor(_), ..]) => Some(*tensor),
            (Name::Size, [sizes @ Value::Sequence(_)]) => Some(*sizes),
            (Name::Device, _) => Some(Value::Other),
            // storage, offset, sizes, strides, requires_grad, backward_hooks
            (Name::RebuildTensor, &[Value::Storage(storage), Value::Int(offset), shape, strides, ..]) => {
                Some(self.tensor(storage, offset, shape, strides)?)
            }
            _ => None,
        };
        value.ok_or_else(|| self.wrong(format!("it calls {name:?} with other arguments than PyTorch does")))
    }

    fn tensor(
        &mut self,
        storage: usize,
        offset: i64,
        shape: Value<'a>,
        strides: Value<'a>,
    ) -> Result<Value<'a>, Problem> {
        let sizes = |value: Value<'a>| -> Option<Vec<usize>> {
            let items = self.items(value).filter(|items| items.len() <= MAX_RANK)?;
            let size = |item: &Value<'a>| match item {
                Value::Int(size) => usize::try_from(*size).ok(),
                _ => None,
            };
            items.iter().map(size).collect()
        };
        let (Some(shape), Some(strides), Ok(offset)) = (sizes(shape), sizes(strides), usize::try_from(offset)) else {
            return Err(
                self.wrong("a tensor whose sizes, strides or offset are no whole numbers from 0 on".to_string())
            );
        };
        if shape.len() != strides.len() {
            return Err(self.wrong(format!("a tensor has {} sizes, but {} strides", shape.len(), strides.len())));
        }
        let stored = self.objects.storages[storage].count;
        check_strides(&shape, &strides, offset, stored).map_err(|what| self.wrong(format!("a tensor {what}")))?;
        self.objects.tensors.push(Tensor { storage, offset, shape, strides });
        Ok(Value::Tensor(self.objects.tensors.len() - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: &[u8]) -> String {
        read(bytes).expect_err("no state dictionary").to_string()
    }

    #[test]
    fn data_are_read() {
        // {'a': (1, -2, 70000), 3: [None, 1.5]}, protocol 4 with its frame and memo
        let bytes = b"\x80\x04\x95\x2a\0\0\0\0\0\0\0}\x94(\x8c\x01a\x94K\x01J\xfe\xff\xff\xffJp\x11\x01\0\x87\x94K\x03]\x94(NG?\xf8\0\0\0\0\0\0eu.";
        let (objects, value) = read(bytes).expect("data");
        assert_eq!(value, Value::Dict(0));
        assert_eq!(objects.dicts[0], [(Value::Text("a"), Value::Sequence(0)), (Value::Int(3), Value::Sequence(1))]);
        assert_eq!(objects.sequences[0], [Value::Int(1), Value::Int(-2), Value::Int(70000)]);
        assert_eq!(objects.sequences[1], [Value::Other, Value::Other]);
    }

    #[test]
    fn a_name_that_is_not_of_tensors_is_refused_before_it_could_be_called() {
        let refused = message(b"\x80\x02cos\nsystem\nX\x04\0\0\0trueq\0\x85R.");
        assert!(refused.contains("byte 2") && refused.contains("wants to run `os.system`"), "{refused}");
        assert!(refused.contains("torch.save(model.state_dict()"), "{refused}");
        let refused = message(b"\x80\x04\x8c\x05posix\x8c\x06system\x93.");
        assert!(refused.contains("wants to run `posix.system`"), "{refused}");
        for names in [
            "builtins\neval",
            "torch\nload",
            "torch._utils\n_rebuild",
            "collections\ndefaultdict",
            "torch\nFloatStorage.x",
        ] {
            let refused = message(format!("c{names}\n.").as_bytes());
            assert!(refused.contains("wants to run"), "{names}: {refused}");
        }
        for opcode in [b'i', b'o', 0x81, 0x92, 0x82] {
            assert!(message(&[0x80, 2, b'(', opcode]).contains("wants to run"), "{opcode}");
        }
    }

    #[test]
    fn a_pickle_that_does_not_hold_together_is_an_error_with_its_place() {
        for (bytes, part) in [
            (&b""[..], "byte 0 "),
            (b".", "takes a value"),
            (b"\x80\x01N.", "protocol 1"),
            (b"N", "byte 1 "),
            (b"NN.", "ends before"),
            (b"N.N", "ends before"),
            (b"(N.", "ends before"),
            (b"N(0", "takes a value where there is none"),
            (b"0", "takes a value"),
            (b"t", "mark that is not there"),
            (b"(Nd.", "key without a value"),
            (b"NNa", "list that is none"),
            (b"NNNs", "dictionary that is none"),
            (b"q\0", "remembers"),
            (b"h\x07", "recalls value 7"),
            (b"X\xff\xff\xff\xff", "cut off"),
            (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc", "cut off"),
            (b"X\x01\0\0\0\xff", "UTF-8"),
            (b"NQ.", "storage"),
            (b"N)R.", "no function"),
            (b"ctorch\nFloatStorage\n)R.", "other arguments"),
            (b"NNb.", "attributes"),
            (b"I1\n.", "opcode 0x49"),
            (b"ctorch", "cut off"),
        ] {
            let message = message(bytes);
            assert!(message.contains(part), "{bytes:?}: {message}");
        }
    }

    /// The pickle of one tensor of six values in its storage.
    fn tensor(offset: &[u8], shape: &[u8], strides: &[u8]) -> Vec<u8> {
        let storage = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x06tQ";
        [&storage[..], offset, shape, strides, b"\x89ccollections\nOrderedDict\n)RtR."].concat()
    }

    #[test]
    fn a_tensor_lies_within_its_storage() {
        let bytes = tensor(b"K\x01", b"K\x02K\x02\x86", b"K\x01K\x03\x86");
        let (objects, value) = read(&bytes).expect("a tensor");
        assert_eq!(value, Value::Tensor(0));
        assert_eq!(objects.tensors[0], Tensor { storage: 0, offset: 1, shape: vec![2, 2], strides: vec![1, 3] });
        assert_eq!(objects.storages[0], Storage { dtype: Dtype::F32, key: "0", count: 6 });
        for (offset, shape, strides, part) in [
            (&b"K\x02"[..], &b"K\x02K\x02\x86"[..], &b"K\x01K\x03\x86"[..], "beyond its storage of 6"),
            (b"K\x06", b")", b")", "beyond its storage"),
            (b"J\xff\xff\xff\xff", b"K\x02\x85", b"K\x01\x85", "whole numbers from 0 on"),
            (b"K\0", b"J\xff\xff\xff\xff\x85", b"K\x01\x85", "whole numbers from 0 on"),
            (b"K\0", b"K\x02\x85", b")", "1 sizes, but 0 strides"),
            (b"K\0", b"J\0\0\0\x40J\0\0\0\x40\x86", b"K\0K\0\x86", "repeats the 6 values"),
            (
                b"K\0",
                b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x86",
                b"K\0K\0\x86",
                "impossible shape",
            ),
            (b"K\0", b"K\x02\x85", b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85", "beyond its storage"),
        ] {
            let message = message(&tensor(offset, shape, strides));
            assert!(message.contains(part), "{message}");
        }
    }
}
