package hl7

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestFrames(t *testing.T) {
	stream := "noise\x0bone\x1c\x0d\x0btwo\x1c\x0d\x0d\x0bthree begun\x0bthree\x1c\x0bfour\x1c"
	f := NewFrames(iotest.OneByteReader(strings.NewReader(stream)))
	for _, want := range []string{"one", "two", "three", "four"} {
		got, err := f.Next()
		if err != nil || string(got) != want {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	}
	if _, err := f.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: got %v, want EOF", err)
	}
	if want := int64(len("noise") + 1 + len("three begun") + 1); f.Garbage() != want {
		t.Errorf("garbage: got %d bytes, want %d", f.Garbage(), want)
	}
}

func TestFrameCutShort(t *testing.T) {
	f := NewFrames(strings.NewReader("\x0bhalf a mess"))
	if _, err := f.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want unexpected EOF", err)
	}
}

// TestFrameTooLarge: it is passed over in bounded memory, its beginning is
// given for the answer, and the next message is read.
func TestFrameTooLarge(t *testing.T) {
	long := io.LimitReader(zeros{}, 3*MessageBytesMax)
	f := NewFrames(io.MultiReader(strings.NewReader("\x0b"+msh+"\r"), long, strings.NewReader("\x1c\x0d\x0bnext\x1c\x0d")))
	head, err := f.Next()
	if !errors.Is(err, ErrFrameTooLarge) || len(head) != headBytesMax {
		t.Fatalf("got %d bytes, %v, want the first %d and ErrFrameTooLarge", len(head), err, headBytesMax)
	}
	if got := HeaderOf(head).Control; got != "M1" {
		t.Errorf("its name: got %q, want M1", got)
	}
	if got, err := f.Next(); err != nil || string(got) != "next" {
		t.Errorf("after it: got %q, %v, want next", got, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'z'
	}
	return len(p), nil
}

func TestWriteFrame(t *testing.T) {
	var b bytes.Buffer
	if err := WriteFrame(&b, []byte("x")); err != nil || b.String() != "\x0bx\x1c\x0d" {
		t.Errorf("got %q, %v", b.String(), err)
	}
}

func TestMessagesOfFiles(t *testing.T) {
	file := "\ufeffFHS|^~\\&\r\nBHS|^~\\&\r\n" + msh + "\r\nPID|1\r\n\r\n\x0b" + strings.ReplaceAll(msh, "M1", "M2") + "\rPID|2\r\x1c\r\nBTS|2\r\nFTS|1\n"
	var got []string
	if err := Messages(strings.NewReader(file), func(raw []byte) error {
		got = append(got, string(raw))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{msh + "\rPID|1", strings.ReplaceAll(msh, "M1", "M2") + "\rPID|2"}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %q, want %q", got, want)
	}
}
