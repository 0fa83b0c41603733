// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
)

// castagnoli is the polynomial that processors have an instruction for.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumSize is the length of an entry of the table of checksums: the sum and its complement, so that zeros are no entry.
const sumSize = 8

// writeSum enters a block's checksum. Eight bytes at a multiple of eight are in one page: a killed process leaves all of
// them or none.
func writeSum(f *os.File, block int64, sum uint32) error {
	var entry [sumSize]byte
	binary.LittleEndian.PutUint32(entry[:4], sum)
	binary.LittleEndian.PutUint32(entry[4:], ^sum)
	_, err := f.WriteAt(entry[:], block*sumSize)
	return err
}

// readSum returns a block's checksum, and whether there is one.
func readSum(f *os.File, block int64) (uint32, bool) {
	var entry [sumSize]byte
	if _, err := f.ReadAt(entry[:], block*sumSize); err != nil {
		return 0, false
	}
	sum := binary.LittleEndian.Uint32(entry[:4])
	return sum, binary.LittleEndian.Uint32(entry[4:]) == ^sum
}

// readSums returns which of the first n blocks have a checksum.
func readSums(f *os.File, n int64) []bool {
	there := make([]bool, n)
	table := make([]byte, n*sumSize)
	m, _ := io.ReadFull(io.NewSectionReader(f, 0, n*sumSize), table)
	for i := range there[:m/sumSize] {
		entry := table[i*sumSize:]
		there[i] = binary.LittleEndian.Uint32(entry[4:8]) == ^binary.LittleEndian.Uint32(entry[:4])
	}
	return there
}

// sumOf computes the checksum of size bytes at an offset.
func sumOf(f *os.File, offset, size int64) (uint32, error) {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	sum := uint32(0)
	for size > 0 {
		p := (*buffer)[:min(size, int64(len(*buffer)))]
		if _, err := f.ReadAt(p, offset); err != nil {
			return 0, err
		}
		sum = crc32.Update(sum, castagnoli, p)
		offset += int64(len(p))
		size -= int64(len(p))
	}
	return sum, nil
}
