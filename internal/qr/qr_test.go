package qr_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/internal/qr"
)

// text is n bytes that do not repeat soon.
func text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyz:-0123"[(i*7+n)%32]
	}
	return b
}

func rows(c *qr.Code) string {
	var b strings.Builder
	for y := range c.Size {
		for x := range c.Size {
			if c.Dark(x, y) {
				b.WriteByte('1')
			} else {
				b.WriteByte('0')
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// TestCodesAsAScannerReadThem: zxing-cpp 2.3 read these very codes (and 50
// others, of every version here) back to their texts; a changed module shows.
func TestCodesAsAScannerReadThem(t *testing.T) {
	for n, want := range map[int]string{
		1:   "bfe47e73571eff5a",
		45:  "b7b471eac727941d",
		105: "415af637d744c875",
		161: "a834ba3487cac826",
		213: "3d5181388ee6b6ad",
	} {
		c, err := qr.Encode(text(n))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(rows(c)))
		if got := hex.EncodeToString(sum[:8]); got != want {
			t.Errorf("%d bytes: got another code (%s) than the one that was read", n, got)
		}
	}
}

func TestVersionsAndTheirEnds(t *testing.T) {
	for size, most := range map[int]int{21: 14, 25: 26, 29: 42, 33: 62, 37: 84, 41: 106, 45: 122, 49: 152, 53: 180, 57: 213} {
		c, err := qr.Encode(text(most))
		if err != nil || c.Size != size {
			t.Errorf("%d bytes: got %v, want a side of %d", most, err, size)
		}
		if c, err = qr.Encode(text(most + 1)); most < 213 && (err != nil || c.Size != size+4) {
			t.Errorf("%d bytes: got %v, want the next version", most+1, err)
		}
	}
	if _, err := qr.Encode(text(214)); !errors.Is(err, qr.ErrLong) {
		t.Errorf("214 bytes: got %v, want ErrLong", err)
	}
}

func TestSVGHasAllModules(t *testing.T) {
	c, err := qr.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Count(c.SVG(), "M"), strings.Count(rows(c), "1"); got != want {
		t.Errorf("modules drawn: got %d, want %d", got, want)
	}
}

func FuzzEncode(f *testing.F) {
	f.Add([]byte("abaton:kit:1:"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := qr.Encode(data)
		if err != nil {
			return
		}
		again, err := qr.Encode(bytes.Clone(data))
		if err != nil || rows(c) != rows(again) {
			t.Error("one text: got two codes")
		}
	})
}
