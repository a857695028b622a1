package feed

import (
	"encoding/binary"

	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// ReadFrames opens as many frames as hold, of a file sealed under secret, whose
// frames hold these bodies.
func ReadFrames(path string, secret key.Secret, bodies [][]byte) (frames int, damaged bool, err error) {
	b, _, err := openBook(path, secret, 0)
	if err != nil {
		return 0, false, err
	}
	defer b.close()
	var data []byte
	for _, body := range bodies {
		sealed := b.aead.Seal(nil, nil, body, nil)
		data = append(binary.BigEndian.AppendUint32(data, uint32(len(sealed))), sealed...)
	}
	for len(data) > 0 {
		_, rest, ok := b.open(data)
		if !ok {
			return frames, true, nil
		}
		data = rest
		frames++
	}
	return frames, false, nil
}

// FrameBody is the body of a frame of one stay.
func FrameBody(name Name, m Meeting) []byte {
	return wire.Marshal(frame{V: wire.Version, Name: name, Kind: m.Kind, Start: m.Start, Open: m.Open})
}
