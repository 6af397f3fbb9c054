import { describe, expect, it } from "vitest";
import { draftOf, formOf, isBlank, wholeNumber } from "./form";
import { displayName } from "./name";
import { messageAt, messagesElsewhere } from "./refusal";
import { cleaned, fitsCells, VIN_GROUPS } from "./vin";

const nothing = { nickname: null, year: null, make: null, model: null, licensePlate: null, vin: null };

describe("a vehicle's name", () => {
  it("is the first thing a person would call it", () => {
    expect(displayName({ ...nothing, vin: "10QIO" })).toBe("10QIO");
    expect(displayName({ ...nothing, vin: "10QIO", licensePlate: "AB 12" })).toBe("AB 12");
    expect(displayName({ ...nothing, year: 2003, licensePlate: "AB 12" })).toBe("AB 12");
    expect(displayName({ ...nothing, year: 2003, make: "HONDA", model: "Accord" })).toBe("2003 HONDA Accord");
    expect(displayName({ ...nothing, make: "UTILITY", model: "Utility" })).toBe("UTILITY");
    expect(displayName({ ...nothing, make: "HONDA", nickname: "Blue" })).toBe("Blue");
  });
});

describe("a VIN while it is typed", () => {
  it("is cleaned as the core cleans it", () => {
    expect(cleaned(" 1hgcm-82633\u2013a004352 ")).toBe("1HGCM82633A004352");
    // Beyond ASCII, upper case changes letters into others.
    expect(cleaned("\u0131\u00df")).toBe("\u0131\u00df");
  });
  it("is shown in cells only where it fits them", () => {
    expect(fitsCells("")).toBe(true);
    expect(fitsCells("1HGCM82633A004352")).toBe(true);
    expect(fitsCells("The VIN is 1HGCM82633A004352")).toBe(false);
  });
  it("has groups that cover each position once", () => {
    const positions = VIN_GROUPS.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, i) => from + i));
    expect(positions).toEqual(Array.from({ length: 17 }, (_, i) => i + 1));
  });
});

describe("the form", () => {
  it("takes numbers as people write them", () => {
    for (const text of ["51000", "51,000", "51.000", "51 000", "51'000", " 51\u202f000 ", "51\u00a0000"]) {
      expect(wholeNumber(text), text).toBe(51000);
    }
    expect(wholeNumber("1,234,567")).toBe(1234567);
    expect(wholeNumber("")).toBe(null);
    expect(wholeNumber("-1")).toBe(-1);
    for (const text of ["abc", "1.5", "1,00", "1e5", "12,34", "1.234,567", "1,234.5"]) expect(wholeNumber(text), text).toBe(text);
  });
  it("is blank until it says something", () => {
    expect(isBlank(formOf())).toBe(true);
    expect(isBlank({ ...formOf(), nickname: " ", odometerUnit: "km" })).toBe(true);
    expect(isBlank({ ...formOf(), make: "Land Rover" })).toBe(false);
  });
  it("keeps typing that is no number, for the core to explain", () => {
    expect(draftOf({ ...formOf(), year: "soon" }).year).toBe("soon");
  });
});

describe("a refusal", () => {
  const refusal = {
    message: "odometerReading must be an integer",
    details: [
      { field: "odometerReading", message: "odometerReading must be an integer" },
      { field: "vin", message: "Vehicle with this VIN already exists" },
    ],
  };
  it("stands at its field, in the field's own words", () => {
    expect(messageAt(refusal, "odometerReading")).toBe("Odometer must be a whole number");
    expect(messageAt(refusal, "vin")).toBe("Vehicle with this VIN already exists");
    expect(messageAt(refusal, "make")).toBeUndefined();
    expect(messageAt(undefined, "make")).toBeUndefined();
  });
  it("stands elsewhere where no shown field can carry it", () => {
    expect(messagesElsewhere(refusal, ["odometerReading"])).toEqual(["Vehicle with this VIN already exists"]);
    expect(messagesElsewhere(refusal, ["odometerReading", "vin"])).toEqual([]);
    expect(messagesElsewhere({ message: "The disk is full", details: [] }, ["vin"])).toEqual(["The disk is full"]);
    expect(messagesElsewhere(undefined, [])).toEqual([]);
  });
});
