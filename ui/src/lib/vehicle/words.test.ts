import { describe, expect, it } from "vitest";
import type { HistoryEntry } from "$lib/platform";
import { chartOf, readingsOf } from "./odometer";
import { formatAgo, formatOrigin, formatValue } from "./words";

const entry = (id: string, at: string, value: number | null, undoes: string | null = null): HistoryEntry => ({
  id,
  collection: "vehicles",
  recordId: "v",
  kind: "edited",
  fields: [{ field: "odometerReading", old: null, new: value, origin: { by: "typed" }, oldOrigin: { by: "typed" } }],
  undoes,
  at,
  deviceId: "d",
  program: "app",
});

describe("readings", () => {
  it("come from history, oldest first, without what was taken back", () => {
    const history = [
      entry("d", "2026-04-01T00:00:00Z", 900),
      entry("c", "2026-03-01T00:00:00Z", 1000, "b"),
      entry("b", "2026-02-01T00:00:00Z", 99_000),
      entry("a", "2026-01-01T00:00:00Z", 1000),
      entry("e", "2026-05-01T00:00:00Z", null),
    ];
    expect(readingsOf(history).map(({ value, isLower }) => [value, isLower])).toEqual([
      [1000, false],
      [900, true],
    ]);
  });

  it("lie in the chart between round lines", () => {
    const readings = readingsOf([entry("a", "2026-01-01T00:00:00Z", 50_120), entry("b", "2026-02-01T00:00:00Z", 58_400)]);
    const { points, lines } = chartOf(readings, 100, 50);
    expect(lines.map(({ value }) => value)).toEqual([50_000, 55_000, 60_000]);
    expect(points.map(({ x }) => x)).toEqual([0, 100]);
    expect(points.every(({ y }) => y >= 0 && y <= 50)).toBe(true);
  });

  it("make a chart even where there is one, or all are equal", () => {
    for (const readings of [
      readingsOf([entry("a", "2026-01-01T00:00:00Z", 0)]),
      readingsOf([entry("a", "2026-01-01T00:00:00Z", 7), entry("b", "2026-01-01T00:00:00Z", 7)]),
    ]) {
      const { points, lines } = chartOf(readings, 100, 50);
      expect([...points.flatMap(({ x, y }) => [x, y]), ...lines.map(({ y }) => y)].every(Number.isFinite)).toBe(true);
    }
  });
});

describe("words", () => {
  const now = new Date("2026-11-23T12:00:00Z");

  it("tell how long ago something was", () => {
    expect(formatAgo(new Date("2026-11-23T11:59:50Z"), now)).toBe("just now");
    expect(formatAgo(new Date("2026-11-23T11:57:00Z"), now)).toBe("3 minutes ago");
    expect(formatAgo(new Date("2026-11-22T11:57:00Z"), now)).toBe("yesterday");
    expect(formatAgo(new Date("2024-11-22T11:57:00Z"), now)).toBe("2 years ago");
  });

  it("tell values and who set them", () => {
    expect(formatValue("year", 2003)).toBe("2003");
    expect(formatValue("odometerReading", 50_000)).toBe("50,000");
    expect(formatValue("odometerUnit", "km")).toBe("kilometers");
    expect(formatValue("isActive", false)).toBe("no");
    expect(formatValue("color", null)).toBe("empty");
    expect(formatOrigin(undefined)).toBe("typed");
    expect(formatOrigin({ by: "decoded", from: "snapshot", month: "2026-10" })).toContain("2026-10");
  });
});
