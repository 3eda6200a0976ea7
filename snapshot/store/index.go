package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// The index is what a list shows of each complete incident, in one file, so that
// ten thousand of them need not be opened and decoded. It is a cache: a record
// counts only while the incident's manifest has the stamp that it was made from,
// so what is in the incident is always right. It may be removed at any time.
//
// The file is indexMagic, a number of records, the records, and the CRC-32C of all
// that. Numbers are varints, signed ones zig-zag; a text is its length and its bytes.
const (
	fileIndex  = ".index"
	indexMagic = "vigil incidents 1\n"
	limitIndex = 64 << 20
	maxText    = 16 << 10 // bytes of one text; an incident with a longer one has no record
)

// record is one incident in the index: what a list shows of it.
type record struct {
	stamp    stamp
	schema   int
	instance uint64
	pid      int
	time     int64 // nanoseconds since 1970
	bytes    int64
	removed  int64 // how many files the store took out of it

	id, service, host, cause, sentence, fingerprint, status string
}

// recordOf makes the record of an incident; false when a record cannot hold it as it is.
func recordOf(i *snapshot.Incident, at stamp) (record, bool) {
	r := record{
		stamp: at, schema: i.Schema, instance: i.Instance, pid: i.PID, time: i.Time.UnixNano(), bytes: i.Bytes, removed: int64(len(i.Removed)),
		id: i.ID, service: i.Service, host: i.Host, cause: string(i.Cause), sentence: i.Sentence, fingerprint: i.Fingerprint, status: string(i.Status),
	}
	return r, r.valid() && time.Unix(0, r.time).Equal(i.Time)
}

func (r *record) valid() bool {
	for _, t := range []string{r.service, r.host, r.cause, r.sentence, r.fingerprint} {
		if len(t) > maxText {
			return false
		}
	}
	return validID(r.id) && finished(snapshot.Status(r.status))
}

func (r *record) incident() snapshot.Incident {
	return snapshot.Incident{
		Schema: r.schema, ID: r.id, Service: r.service, Instance: r.instance, PID: r.pid, Time: time.Unix(0, r.time).UTC(), Host: r.host,
		Cause: snapshot.Cause(r.cause), Sentence: r.sentence, Fingerprint: r.fingerprint, Status: snapshot.Status(r.status), Bytes: r.bytes,
	}
}

// brief is of an incident what a record would hold; all other fields are empty. Its
// time may be one that a record could not hold.
func brief(i *snapshot.Incident) snapshot.Incident {
	r, _ := recordOf(i, stamp{})
	short := r.incident()
	short.Time = i.Time.UTC()
	return short
}

// encodeIndex writes records. All must fit.
func encodeIndex(records []record) []byte {
	b := binary.AppendUvarint([]byte(indexMagic), uint64(len(records)))
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	for n := range records {
		r := &records[n]
		for _, v := range []int64{
			r.stamp.inode, r.stamp.size, r.stamp.modified, r.stamp.changed, int64(r.schema), int64(r.instance), int64(r.pid), r.time, r.bytes, r.removed,
		} {
			b = binary.AppendVarint(b, v)
		}
		for _, s := range []string{r.id, r.service, r.host, r.cause, r.sentence, r.fingerprint, r.status} {
			text(s)
		}
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errIndex = errors.New("not an index of incidents, or a damaged one")

// decodeIndex reads an index. Of what is damaged nothing is taken.
func decodeIndex(data []byte) ([]record, error) {
	const sum = 4
	n := len(data) - sum
	if n < len(indexMagic) || string(data[:len(indexMagic)]) != indexMagic || crc32.Checksum(data[:n], castagnoli) != binary.LittleEndian.Uint32(data[n:]) {
		return nil, errIndex
	}
	d := indexDecoder{rest: string(data[len(indexMagic):n])} // texts share this one string
	count := d.length(maxNames)
	// A count alone reserves no memory: a record has at least 16 bytes.
	records := make([]record, 0, min(count, len(d.rest)/16+1))
	for range count {
		r := d.record()
		if d.failed {
			return nil, errIndex
		}
		if !r.valid() {
			return nil, fmt.Errorf("%w: it has a record of %q", errIndex, r.id)
		}
		records = append(records, r)
	}
	if d.failed || d.rest != "" {
		return nil, errIndex
	}
	return records, nil
}

// indexDecoder takes values from the front of rest. After a failure all are zero.
type indexDecoder struct {
	rest   string
	failed bool
}

func (d *indexDecoder) record() record {
	r := record{stamp: stamp{d.number(), d.number(), d.number(), d.number()}}
	r.schema, r.instance, r.pid = int(d.number()), uint64(d.number()), int(d.number())
	r.time, r.bytes, r.removed = d.number(), d.number(), d.number()
	r.id, r.service, r.host, r.cause, r.sentence, r.fingerprint, r.status = d.text(), d.text(), d.text(), d.text(), d.text(), d.text(), d.text()
	return r
}

func (d *indexDecoder) uvarint() uint64 {
	var v uint64
	for n := 0; n < len(d.rest) && n < binary.MaxVarintLen64; n++ {
		c := d.rest[n]
		if n == binary.MaxVarintLen64-1 && c > 1 {
			break // more than 64 bits
		}
		v |= uint64(c&0x7f) << (7 * n)
		if c < 0x80 {
			d.rest = d.rest[n+1:]
			return v
		}
	}
	d.failed, d.rest = true, ""
	return 0
}

func (d *indexDecoder) number() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// length is a number of at most limit.
func (d *indexDecoder) length(limit int) int {
	v := d.uvarint()
	if v > uint64(limit) {
		d.failed, d.rest = true, ""
		return 0
	}
	return int(v)
}

func (d *indexDecoder) text() string {
	n := d.length(maxText)
	if n > len(d.rest) {
		d.failed, d.rest = true, ""
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}
