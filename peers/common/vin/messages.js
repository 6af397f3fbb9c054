// The contract's messages about VINs.

export const VIN_LENGTH = 'VIN must be 17 characters, or 5 to 16 for vehicles before 1981';
export const VIN_LETTERS = 'VIN cannot contain I, O or Q';
export const VIN_CHARACTERS = 'VIN can contain only letters and digits';
