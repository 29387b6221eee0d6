// The people and the institution of the journeys.

export const superAdmin = {
  name: "Ada Platform",
  email: "ada@platform.example",
  password: "quiet-harbour-lantern-42",
};

export const institution = {
  name: "Tallinna Põhjarannik Gümnaasium",
  domain: "pohjarannik.example.com",
  kind: "School",
  country: "Estonia",
  website: "https://pohjarannik.example.com",
  timeZone: "Europe/Tallinn",
};

export const secondInstitution = { ...institution, name: "Saaremaa Ühisgümnaasium", domain: "saare.example.com" };

export const owner = {
  name: "Mare Õunapuu",
  email: "mare@pohjarannik.example.com",
  password: "seven-birches-by-the-sea",
};

export const colleague = {
  name: "Jüri Sõber",
  email: "juri@pohjarannik.example.com",
  password: "granite-teapot-whistles-twice",
};

export const secondAdmin = {
  name: "Noor de Vries",
  email: "noor@platform.example",
  password: "eleven-copper-umbrellas-wait",
};

export const student = { number: "S-0001", name: "Łukasz Nguyễn 王", admissionYear: "2025" };

// Names in several scripts, a comma, quotes, and a cell that a spreadsheet would take for a formula.
export const studentsCsv = [
  "student_number,full_name,admission_year",
  "S-1001,Γιώργος Παπαδόπουλος,2024",
  'S-1002,"de la Cruz, María José",2024',
  'S-1003,"Fatima ""Fati"" الزهراء",2025',
  "S-1004,=1+1,2025",
  "",
].join("\n");

// Two that can join, one that waits to be turned down, and one whose domain cannot be.
export const registrationsCsv = [
  "name,domain,country,kind,time_zone,admin_name,admin_email",
  "Universidad de Ñuñoa,nunoa.example.org,Chile,university,America/Santiago,Inés Pérez,ines@nunoa.example.org",
  "University of 東京 West,west.example.net,Japan,university,Asia/Tokyo,Hana Itō,hana@west.example.net",
  "Diploma Mill,mill.example.com,Malta,,,,",
  "No Domain College,not a domain,Malta,,,,",
  "",
].join("\n");
