package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/reedsolomon"

	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
)

// peaks are the largest resident sizes so far, in MB: of the gateway, and of
// the largest keeper.
func (o *objectClinic) peaks() (gateway, keeper float64, err error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, 0, err
	}
	for _, dir := range dirs {
		args, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || !bytes.Contains(args, []byte(o.processes.Dir())) {
			continue
		}
		mb := peak(filepath.Join(dir, "status"))
		program, _, _ := bytes.Cut(args, []byte{0})
		switch filepath.Base(string(program)) {
		case "abaton-gateway":
			gateway = max(gateway, mb)
		case "abaton-keeper":
			keeper = max(keeper, mb)
		}
	}
	if gateway == 0 || keeper == 0 {
		return 0, 0, errors.New("no processes to measure")
	}
	return gateway, keeper, nil
}

// peak reads VmHWM, in MB.
func peak(status string) float64 {
	text, err := os.ReadFile(status)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err == nil {
				return kib * 1024 / 1e6
			}
		}
	}
	return 0
}

// bareBytes is what sealing cannot do without, in MB/s on one core.
func bareBytes(size int) float64 {
	const part = 1 << 20
	plain := make([]byte, part)
	io.ReadFull(newStream(3, 0, part), plain)
	secret := key.NewSecret()
	block, err := aes.NewCipher(secret[:])
	if err != nil {
		panic("bench: 32 bytes are an AES key")
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic("bench: AES has the block size of GCM")
	}
	code, err := reedsolomon.New(3, 2, reedsolomon.WithMaxGoroutines(1))
	if err != nil {
		panic("bench: 3 of 5 is a valid code")
	}
	out := make([]byte, 0, part+16)
	start := time.Now()
	for range size / part {
		sha256.Sum256(plain)
		shards, _ := code.Split(gcm.Seal(out, make([]byte, 12), plain, nil))
		code.Encode(shards)
		for _, s := range shards {
			sha256.Sum256(s)
		}
	}
	return float64(size) / 1e6 / time.Since(start).Seconds()
}

// bareCat pushes bytes through TLS on loopback, in MB/s.
func bareCat(size int64) (float64, error) {
	scalar := key.NewSecret()
	scalar[0] = 1
	cert, _, err := keeper.NewCertificate(scalar[:])
	if err != nil {
		return 0, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	sent := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			secure := tls.Server(conn, keeper.TLSConfig(cert))
			_, err = io.CopyN(secure, repeated(make([]byte, 1<<20)), size)
			err = errors.Join(err, secure.Close())
		}
		sent <- err
	}()
	conn, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true}) // loopback, nothing is protected
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	start := time.Now()
	if _, err := io.CopyN(io.Discard, conn, size); err != nil {
		return 0, err
	}
	took := time.Since(start)
	return float64(size) / 1e6 / took.Seconds(), <-sent
}

// repeated gives the same bytes for ever.
type repeated []byte

// Read gives them again.
func (r repeated) Read(p []byte) (int, error) { return copy(p, r), nil }
