package hl7

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Messages reads a file of messages, as engines write them: each begins with a
// line that begins with MSH; batch headers and trailers are passed over, and so
// are the marks of MLLP. Lines end with CR, LF or both. ErrFrameTooLarge ends
// it.
func Messages(r io.Reader, each func(raw []byte) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	var message []byte
	flush := func() error {
		done := bytes.TrimRight(message, "\r")
		message = nil
		if len(done) == 0 {
			return nil
		}
		return each(done)
	}
	for {
		line, err := fileLine(in)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		line = bytes.Trim(line, "\x0b\x1c\ufeff")
		switch {
		case len(line) >= 3 && (bytes.HasPrefix(line, []byte("FHS")) || bytes.HasPrefix(line, []byte("BHS")) ||
			bytes.HasPrefix(line, []byte("BTS")) || bytes.HasPrefix(line, []byte("FTS"))):
		case len(line) > 0:
			if bytes.HasPrefix(line, []byte("MSH")) {
				if err := flush(); err != nil {
					return err
				}
			}
			message = append(append(message, line...), '\r')
			if len(message) > MessageBytesMax {
				return ErrFrameTooLarge
			}
		}
		if err != nil {
			return flush()
		}
	}
}

// fileLine is a line without its end, of at most MessageBytesMax.
func fileLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		b, err := in.ReadByte()
		switch {
		case err != nil:
			return line, err
		case b == '\r' || b == '\n':
			return line, nil
		case len(line) == MessageBytesMax:
			return nil, ErrFrameTooLarge
		}
		line = append(line, b)
	}
}
