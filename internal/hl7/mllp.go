package hl7

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// The marks of a frame (HL7 Minimal Lower Layer Protocol, release 1).
const (
	frameStart = 0x0b
	frameEnd   = 0x1c
	frameLast  = 0x0d
)

// ErrFrameTooLarge says that a frame was over MessageBytesMax. It has been
// passed over; what Next gave with it is its beginning.
var ErrFrameTooLarge = errors.New("mllp: frame is too large")

// Frames reads messages from a stream. It holds one message in memory, of at
// most MessageBytesMax. Not safe for concurrent use.
type Frames struct {
	r       *bufio.Reader
	garbage int64
	ended   bool // a frame has ended; its last mark may still come
}

// NewFrames reads from r.
func NewFrames(r io.Reader) *Frames { return &Frames{r: bufio.NewReaderSize(r, 64<<10)} }

// Garbage is how many bytes stood outside of frames so far, and in frames that
// were begun anew.
func (f *Frames) Garbage() int64 { return f.garbage }

// Buffered reports whether more has arrived than was read.
func (f *Frames) Buffered() bool { return f.r.Buffered() > 0 }

// Next is the next message without its frame; bytes between frames are passed
// over and counted. io.EOF at the end of the stream, io.ErrUnexpectedEOF in
// the middle of a frame, ErrFrameTooLarge after one that was too large: then
// the first bytes of it are given too, and the next call goes on behind it.
func (f *Frames) Next() ([]byte, error) {
	if err := f.begin(); err != nil {
		return nil, err
	}
	message := make([]byte, 0, 1024)
	over := false
	for {
		b, err := f.r.ReadByte()
		if err != nil {
			f.garbage += int64(len(message))
			return nil, midFrame(err)
		}
		switch {
		case b == frameEnd:
			f.ended = true
			if over {
				return message, ErrFrameTooLarge
			}
			return message, nil
		case b == frameStart: // the sender began again
			f.garbage += int64(len(message)) + 1
			message, over = message[:0], false
		case over:
		case len(message) == MessageBytesMax:
			message, over = append([]byte(nil), message[:headBytesMax]...), true
		default:
			message = append(message, b)
		}
	}
}

// begin passes over all up to the start of a frame.
func (f *Frames) begin() error {
	for {
		b, err := f.r.ReadByte()
		if err != nil {
			return err
		}
		last := f.ended && b == frameLast
		f.ended = false
		if b == frameStart {
			return nil
		}
		if !last {
			f.garbage++
		}
	}
}

func midFrame(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// WriteFrame writes one message in its frame, in one Write.
func WriteFrame(w io.Writer, message []byte) error {
	frame := make([]byte, 0, len(message)+3)
	frame = append(append(append(frame, frameStart), message...), frameEnd, frameLast)
	if _, err := w.Write(frame); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	return nil
}
