const celsius = (fahrenheit) => Math.round((fahrenheit - 32) * (50 / 9)) / 10;

async function read_station({ station }, context) {
  const readings = { lisbon: [68, 71.6, 77], oslo: [41, 39.2, 44.6] };
  if (!(station in readings)) throw new RangeError(`there is no station "${station}"`);
  return { station, readings: readings[station], attempt: context.attempt };
}

function summarize({ readings }) {
  const degrees = readings.map(celsius);
  return { coldest: Math.min(...degrees), warmest: Math.max(...degrees) };
}

export default { read_station, summarize };
