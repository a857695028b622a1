package careteam

import (
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// ErrDutyPart says that a part of a duty chart's root is not for this reader,
// or not of this chart.
var ErrDutyPart = errors.New("this part of the duty chart does not open here")

// SealDutyPart is one guardian's part, as text for the other guardian's person
// alone.
func SealDutyPart(chart abaton.ActorID, part key.Secret, to key.BoxPublic) (string, error) {
	sealed, err := to.SealTo(wire.DutyPart, chart[:], part[:])
	if err != nil {
		return "", fmt.Errorf("seal part: %w", err)
	}
	return base64.RawStdEncoding.EncodeToString(sealed), nil
}

// OpenDutyPart is the other end of SealDutyPart; ErrDutyPart.
func OpenDutyPart(chart abaton.ActorID, text string, own *key.Box) (part key.Secret, err error) {
	if len(text) > dutyLineMax {
		return part, ErrDutyPart
	}
	sealed, err := base64.RawStdEncoding.Strict().DecodeString(text)
	if err != nil {
		return part, ErrDutyPart
	}
	plain, err := own.OpenFrom(wire.DutyPart, chart[:], sealed)
	if err != nil || len(plain) != len(part) || key.Secret(plain).IsZero() {
		return part, ErrDutyPart
	}
	return key.Secret(plain), nil
}
