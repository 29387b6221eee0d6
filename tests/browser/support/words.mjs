// The words a person sees and the tests steer by: when a page's wording changes, it changes here, once.

export const fields = {
  email: "E-mail",
  password: "Password",
  yourName: "Your name",
  institutionName: "Institution name",
  kind: "Kind",
  domain: "Domain",
  country: "Country",
  website: "Website",
  timeZone: "Time zone",
  reason: "Reason",
  studentNumber: "Student number",
  studentName: "Full name",
  admissionYear: "Admission year",
  csvFile: "CSV file",
};

export const buttons = {
  createSuperAdmin: "Create super admin",
  signIn: "Sign in",
  signOut: "Sign out",
  registerInstitution: "Register institution",
  approveInstitution: "Approve institution",
  suspendInstitution: "Suspend institution",
  reactivateInstitution: "Reactivate institution",
  addStudent: "Add student",
  saveStudent: "Save student",
  importStudents: "Import students",
  checkFile: "Check file",
  applyImport: "Apply import",
  exportCsv: "Export CSV",
  skipToContent: "Skip to content",
};

// What a page says when something is so. Matched anywhere in the page, whatever the case.
export const says = {
  pending: /pending approval|waiting for approval|awaiting approval/i,
  active: /\bactive\b/i,
  suspended: /suspended/i,
  created: (count) => new RegExp(`${count}[^\\d]{0,20}created|created[^\\d]{0,20}${count}`, "i"),
  importDone: /\bdone\b|finished|imported/i,
};
