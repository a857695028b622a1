package session

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// ErrSealed says that a sealed reply or upload does not open.
var ErrSealed = errors.New("sealed message does not open")

// Channel is what one keeper and one session share: a key for each
// direction. The zero Channel seals nothing.
type Channel struct {
	k2c, c2k key.Secret
}

// OpenChannel makes the channel at keeper x. The encapsulation goes to the
// reader, signed by the keeper. A keeper may do it again: the channel is then
// another one.
func OpenChannel(s *Session, x abaton.KeeperIndex) (c *Channel, enc []byte, err error) {
	if x == 0 {
		return nil, nil, abaton.Refuse(abaton.ReasonKeeperSet)
	}
	enc, exporter, err := s.reply.Encapsulate(channelInfo(s.id, x))
	if err != nil {
		return nil, nil, fmt.Errorf("open channel: %w", err)
	}
	return newChannel(exporter), enc, nil
}

// AcceptChannel is the reader's end; key.ErrBox if the encapsulation is not
// for this reply key, session and keeper.
func AcceptChannel(reply *key.Box, id abaton.SessionID, x abaton.KeeperIndex, enc []byte) (*Channel, error) {
	exporter, err := reply.Decapsulate(enc, channelInfo(id, x))
	if err != nil {
		return nil, fmt.Errorf("accept channel: %w", err)
	}
	return newChannel(exporter), nil
}

func channelInfo(id abaton.SessionID, x abaton.KeeperIndex) []byte {
	info := wire.Hash(wire.ReplyCtx, id[:], []byte{byte(x)})
	return info[:]
}

func newChannel(e key.Exporter) *Channel {
	return &Channel{k2c: key.ExportSecret(e, wire.ReplyKey), c2k: key.ExportSecret(e, wire.UploadKey)}
}

// SaltBytes is the length of the fresh salt of every sealed message.
const SaltBytes = 16

// Sealed is one message under a key of its own: AES-256-GCM, nonce zero, the
// key drawn from the channel, the request and a fresh salt, so that no two
// messages ever share a key (PROTOCOL.md#sealed-reply).
type Sealed struct {
	_          struct{} `cbor:",toarray"`
	Salt       [SaltBytes]byte
	Ciphertext []byte
}

// SealReply seals a keeper's reply to one request.
func (c *Channel) SealReply(request [32]byte, reply []byte) (Sealed, error) {
	return seal(c.k2c, wire.Reply, request, reply)
}

// OpenReply is the other end of SealReply; ErrSealed.
func (c *Channel) OpenReply(request [32]byte, s Sealed) ([]byte, error) {
	return open(c.k2c, wire.Reply, request, s)
}

// SealUpload seals what a reader sends to the keeper; name is the hash of
// what it belongs to.
func (c *Channel) SealUpload(name [32]byte, upload []byte) (Sealed, error) {
	return seal(c.c2k, wire.Upload, name, upload)
}

// OpenUpload is the other end of SealUpload; ErrSealed.
func (c *Channel) OpenUpload(name [32]byte, s Sealed) ([]byte, error) {
	return open(c.c2k, wire.Upload, name, s)
}

func seal(k key.Secret, label wire.Label, name [32]byte, plaintext []byte) (s Sealed, err error) {
	if k.IsZero() {
		return s, fmt.Errorf("seal: %w", key.ErrKey)
	}
	rand.Read(s.Salt[:]) // never fails: crypto/rand documents that it crashes instead
	gcm := messageCipher(k, label, name, s.Salt)
	s.Ciphertext = gcm.Seal(nil, make([]byte, gcm.NonceSize()), plaintext, name[:])
	return s, nil
}

func open(k key.Secret, label wire.Label, name [32]byte, s Sealed) ([]byte, error) {
	if k.IsZero() {
		return nil, ErrSealed
	}
	gcm := messageCipher(k, label, name, s.Salt)
	plaintext, err := gcm.Open(nil, make([]byte, gcm.NonceSize()), s.Ciphertext, name[:])
	if err != nil {
		return nil, ErrSealed
	}
	return plaintext, nil
}

// messageCipher: HKDF-Extract(salt = name || salt, ikm = channel key), then
// HKDF-Expand under the label (PROTOCOL.md#sealed-reply).
func messageCipher(k key.Secret, label wire.Label, name [32]byte, salt [SaltBytes]byte) cipher.AEAD {
	prk := key.Extract(append(name[:], salt[:]...), k[:])
	message := key.Expand(prk[:], label)
	block, err := aes.NewCipher(message[:])
	if err != nil {
		panic("session: 32 bytes are a valid AES-256 key")
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic("session: AES has the block size of GCM")
	}
	return gcm
}

// ParseSealed reads a sealed message strictly; ReasonMalformed.
func ParseSealed(data []byte) (s Sealed, err error) {
	if wire.Unmarshal(data, &s) != nil {
		return Sealed{}, abaton.Refuse(abaton.ReasonMalformed)
	}
	return s, nil
}

// Marshal is the sealed message's one encoding.
func (s Sealed) Marshal() []byte { return wire.Marshal(s) }
