//! Numbers and bytes of Avro, read off a buffer that may end anywhere.

/// Why a value can't be read.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// The bytes end within it.
    Ended,
    /// It is none: why.
    Bad(String),
    /// It is one, beyond what is read.
    Beyond(String),
}

impl Stop {
    /// A value that is none.
    pub fn bad(why: impl Into<String>) -> Self {
        Self::Bad(why.into())
    }
}

/// Walks over bytes.
#[derive(Debug, Clone)]
pub struct Cursor<'b> {
    rest: &'b [u8],
    size_bytes: usize,
}

impl<'b> Cursor<'b> {
    /// Begin.
    pub fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes, size_bytes: bytes.len() }
    }

    /// Bytes before here.
    pub fn offset(&self) -> usize {
        self.size_bytes - self.rest.len()
    }

    /// Whether all has been read.
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// A number: seven bits a byte, the lowest first, and zigzag.
    pub fn long(&mut self) -> Result<i64, Stop> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or(Stop::Ended)?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((number >> 1) as i64 ^ -((number & 1) as i64));
            }
        }
        Err(Stop::bad("a number has more than 64 bits"))
    }

    /// A number of 32 bits.
    pub fn int(&mut self) -> Result<i32, Stop> {
        let number = self.long()?;
        i32::try_from(number).map_err(|_| Stop::bad(format!("{number} is no number of 32 bits")))
    }

    /// Bytes with their number before them.
    pub fn bytes(&mut self) -> Result<&'b [u8], Stop> {
        let length = self.long()?;
        let length = usize::try_from(length).map_err(|_| Stop::bad(format!("a value has {length} bytes")))?;
        self.take(length)
    }

    /// So many bytes.
    pub fn take(&mut self, length: usize) -> Result<&'b [u8], Stop> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Stop::Ended)?;
        self.rest = rest;
        Ok(taken)
    }

    /// As many bytes as an array has.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Stop::Ended)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// UTF-8 with the number of its bytes before it.
    pub fn text(&mut self) -> Result<&'b str, Stop> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Stop::bad("a text is not UTF-8"))
    }

    /// How many elements the next part of an array or a map has; 0: it has ended.
    pub fn elements(&mut self) -> Result<u64, Stop> {
        let count = self.long()?;
        if count < 0 {
            self.long()?; // the part's size, for those who skip it
        }
        Ok(count.unsigned_abs())
    }
}

/// Write a number.
pub fn write_long(number: i64, out: &mut Vec<u8>) {
    let mut zigzag = (number << 1 ^ number >> 63) as u64;
    while zigzag >= 0x80 {
        out.push(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    out.push(zigzag as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_numbers_come_back_and_overlong_ones_are_refused() {
        for number in [0, -1, 1, 63, 64, -64, -65, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            write_long(number, &mut out);
            let mut cursor = Cursor::new(&out);
            assert_eq!((cursor.long(), cursor.is_at_end()), (Ok(number), true));
            assert_eq!(Cursor::new(&out[..out.len() - 1]).long(), Err(Stop::Ended));
        }
        assert!(matches!(Cursor::new(&[0xff; 11]).long(), Err(Stop::Bad(_))));
        assert!(matches!(Cursor::new(&[0x01]).bytes(), Err(Stop::Bad(_))));
        assert_eq!(Cursor::new(&[0x04, b'a']).bytes(), Err(Stop::Ended));
    }
}
